import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** File of a built program of this package; `from`: the URL of the module that asks, built or a source. */
export function programFile(name: string, from: string): string {
  for (const relative of [`./${name}.js`, `../../dist/${name}.js`]) {
    const path = fileURLToPath(new URL(relative, from));
    if (existsSync(path)) return path;
  }
  return fileURLToPath(new URL(`./${name}.js`, from));
}
