// Runs the unit tests of the mechanism packages on every version of Node that fitdoc supports.
// Usage: npm run node-versions [-- MAJOR...]; builds first. Exit code 1 unless all pass on all versions.
import { readSupported, testOn } from './versions.js';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

const root = path.resolve(import.meta.dirname, '../../..');
const packages = ['interface', 'bitmap', 'diff', 'codec', 'format'];
const asked = process.argv.slice(2);
const supported = [20, 22, 24];
const majors = asked.length > 0 ? asked.map(Number) : supported;

if (majors.some((major) => !Number.isInteger(major) || major < readSupported(root))) {
  console.error(`usage: npm run node-versions [-- MAJOR...], from ${readSupported(root)} on`);
  process.exit(2);
}
const filters = packages.map((name) => `--filter=@fitdoc/${name}`);
execFileSync('npx', ['turbo', 'run', 'build', '--output-logs=errors-only', ...filters], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
});
let failed = false;
for (const major of majors) {
  const result = await testOn(root, major, packages);
  failed ||= !result.ok;
  console.log(`${result.ok ? 'ok  ' : 'FAIL'}  node ${result.version}: ${result.detail}`);
}
process.exitCode = failed ? 1 : 0;
