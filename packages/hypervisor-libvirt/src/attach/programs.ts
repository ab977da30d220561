import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** File of a built program of this package. */
export function programFile(name: 'guard' | 'helper' | 'ask'): string {
  for (const relative of [`./${name}.js`, `../../dist/${name}.js`]) {
    const path = fileURLToPath(new URL(relative, import.meta.url));
    if (existsSync(path)) return path;
  }
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
