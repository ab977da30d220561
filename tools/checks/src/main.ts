// All static checks but lint and types, one line each. Needs `npm run build` first.
// Usage: npm run check [-- NAME...]. Exit code 1 when one fails.
import path from 'node:path';
import { runCheck } from './check.js';
import { formatting, layers, unused } from './checks.js';
import { publishing } from './publishing.js';

const root = path.resolve(import.meta.dirname, '../../..');
const all = [layers, formatting, unused, publishing];
const names = process.argv.slice(2);
const unknown = names.filter((name) => !all.some((check) => check.name === name));
if (unknown.length > 0) {
  console.error(`no check ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
let failed = false;
for (const check of all.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const { ok, line, problems } = await runCheck(check, root);
  failed ||= !ok;
  console.log(line);
  for (const problem of problems) console.log(`        ${problem}`);
}
process.exitCode = failed ? 1 : 0;
