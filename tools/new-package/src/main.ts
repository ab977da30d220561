// Usage: npm run new-package -- store|hypervisor|compressor NAME
import path from 'node:path';
import { KINDS, parseNames } from './names.js';
import { nextSteps, stamp } from './stamp.js';

const [kind, name, ...rest] = process.argv.slice(2);
try {
  if (rest.length > 0) throw new Error(`one package at a time, not also ${rest.join(' ')}`);
  const names = parseNames(kind, name);
  const root = path.resolve(import.meta.dirname, '../../..');
  for (const file of await stamp(root, names)) console.log(`  ${file}`);
  console.log(`\n${nextSteps(names)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  console.error(`usage: npm run new-package -- ${KINDS.join('|')} NAME`);
  process.exitCode = 2;
}
