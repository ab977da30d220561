import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { Kind, Names } from './names.js';
import { changeset, commonFiles } from './templates/common.js';
import { compressorFiles } from './templates/compressor.js';
import { hypervisorFiles } from './templates/hypervisor.js';
import { storeFiles } from './templates/store.js';

const templates: Readonly<Record<Kind, (names: Names) => Record<string, string>>> = {
  store: storeFiles,
  hypervisor: hypervisorFiles,
  compressor: compressorFiles,
};

/**
 * Writes a new package into the repository at `root`, formatted, and a changeset for it; returns the files.
 * Throws, and writes nothing, when the package is there already or `root` is no such repository.
 */
export async function stamp(root: string, names: Names): Promise<string[]> {
  const directory = path.join('packages', names.folder);
  if (existsSync(path.join(root, directory))) throw new Error(`${directory} is there already`);
  const manifest = await readFile(path.join(root, 'packages/interface/package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const files = new Map<string, string>([[`.changeset/${names.folder}.md`, changeset(names)]]);
  for (const [file, text] of Object.entries({
    ...commonFiles(names, version),
    ...templates[names.kind](names),
  })) {
    files.set(path.join(directory, file), text);
  }
  for (const [file, text] of files) {
    const target = path.join(root, file);
    const options = await resolveConfig(target);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, await format(text, { ...options, filepath: target }));
  }
  return [...files.keys()];
}

/** What is left to do, for people. */
export function nextSteps({ kind, name, folder, packageName }: Names): string {
  const wiring: Readonly<Record<Kind, string>> = {
    store: `Add \`${name}\` to packages/adapters/src/built-in.ts, and ${packageName} to its dependencies.`,
    hypervisor: `Add \`${name}\` to packages/adapters/src/built-in.ts, and ${packageName} to its dependencies.`,
    compressor: `Hand it to the codec: createCodec({ compressor: '${name}', compressors: [createCompressor()] }).`,
  };
  return `Next:
  1. npm install                                              links the package; commit the lockfile with it
  2. npx turbo run build --filter=${packageName}
  3. cd packages/${folder} && npx vitest run                  the suite of the ${kind} port, red
  4. Implement src/ until it is green. The port is in packages/interface/src/${kind}.ts.
  5. Make the README's example, options and limits true; a test runs the example.
  6. ${wiring[kind]}
  7. npm run check                                            layers, formatting, exports, types`;
}
