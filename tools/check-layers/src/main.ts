// Checks the repository's imports. Usage: main.ts [ROOT]. Exit code 1 when a rule is broken.
import path from 'node:path';
import { checkLayers } from './check.js';
import { readPackages } from './workspace.js';

const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '../../..'));
const packages = await readPackages(root);
const violations = checkLayers(packages);
for (const violation of violations) console.error(violation);
if (packages.length === 0) console.error(`${root} has no packages`);
const bad = violations.length > 0 || packages.length === 0;
console.log(`layers: ${packages.length} packages, ${violations.length} violations`);
process.exitCode = bad ? 1 : 0;
