import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { damagedVectors } from './damaged-vectors.js';
import { expectationOf, refusalOf } from './expectations.js';
import { runProgram } from './run-program.js';
import { programOf, withDumps, withOutput } from './spec-dumps.js';
import { validVectors } from './vectors.js';

// Writes ../../vectors anew. Vectors that went through a compressor are kept when they are there: they are to
// stay readable, not to be made again.
const root = new URL('../../vectors/', import.meta.url);
const toText = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
const exists = (name: string) =>
  stat(new URL(name, root)).then(
    () => true,
    () => false,
  );

await mkdir(new URL('damaged/', root), { recursive: true });
const valid = await validVectors();
for (const vector of valid) {
  if (!vector.stable && (await exists(`${vector.name}.fitdoc`))) continue;
  const previous = valid.find(({ name }) => name === vector.after.at(-1));
  await writeFile(new URL(`${vector.name}.fitdoc`, root), vector.bytes);
  await writeFile(new URL(`${vector.name}.json`, root), toText(await expectationOf(vector, previous)));
}
for (const name of await readdir(new URL('damaged/', root))) await rm(new URL(`damaged/${name}`, root));
for (const vector of damagedVectors(valid[0]?.bytes ?? new Uint8Array(0))) {
  await writeFile(new URL(`damaged/${vector.name}.fitdoc`, root), vector.bytes);
  await writeFile(new URL(`damaged/${vector.name}.json`, root), toText(await refusalOf(vector)));
}

const specFile = new URL('../../spec/checkpoint-v1.md', import.meta.url);
const spec = await readFile(specFile, 'utf8');
const bytesOf = (name: string) => valid.find((vector) => vector.name === name)?.bytes ?? new Uint8Array(0);
const output = (name: string) => runProgram(programOf(spec), fileURLToPath(new URL(`${name}.fitdoc`, root)));
await writeFile(specFile, withOutput(withDumps(spec, bytesOf), output));
