import { access } from 'node:fs/promises';
import path from 'node:path';
import { runStep } from './step.js';

interface Prerequisite {
  readonly what: string;
  /** Relative to the repository; exits non-zero, with a reason on its last line, when it cannot be had. */
  readonly command: readonly string[];
  readonly script: string;
}

const LABS: readonly Prerequisite[] = [
  { what: 'QEMU and guests', script: 'tools/lab/src/qemu/main.ts', command: ['install'] },
  { what: 'Xen in an emulator', script: 'tools/lab/src/xen/main.ts', command: ['install'] },
  { what: 'Ceph S3 gateway', script: 'tools/lab/src/ceph/main.ts', command: ['install'] },
  { what: 'Libvirt', script: 'tools/lab/src/libvirt/main.ts', command: ['install'] },
  { what: 'Faketime', script: 'tools/lab/src/faketime/main.ts', command: ['install'] },
  { what: 'NBD tools', script: 'tools/lab/src/nbd/main.ts', command: ['install'] },
  { what: 'Minimal Debians', script: 'tools/lab/src/debian/main.ts', command: ['install'] },
  { what: 'Chromium', script: 'tools/lab/src/chromium/main.ts', command: ['install'] },
];

/**
 * Installs, from Debian's packages, what suites need beyond npm. What cannot be had is named, and its suites
 * then say for themselves that they did not run.
 */
export async function prerequisites(root: string): Promise<string[]> {
  const missing: string[] = [];
  for (const { what, script, command } of LABS) {
    const present = await access(path.join(root, script)).then(
      () => true,
      () => false,
    );
    if (!present) {
      missing.push(`${what}: ${script} is not there`);
      continue;
    }
    const step = await runStep(root, `install ${what}`, ['npx', 'tsx', script, ...command]);
    if (!step.ok) missing.push(`${what}: see ${path.relative(root, step.log)}`);
  }
  return missing;
}
