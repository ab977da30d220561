import type { MachineInfo } from '@fitdoc/interface';
import { runOn, type HostShell } from '../host/shell.js';

// Where Debian and Xen's own build put the QEMU that libxl starts.
const ASK_VERSION = String.raw`
for program in /usr/libexec/xen-qemu-system-i386 /usr/lib/xen*/bin/qemu-system-i386 \
  /usr/local/lib/xen/bin/qemu-system-i386; do
  if [ -x "$program" ]; then "$program" --version; exit; fi
done`;

/** Major and minor version, comparable as one number. */
function ranked(text: string): number {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? 0 : Number(major) * 1000 + Number(minor);
}

/**
 * What is to be said when a host's device model is older than the one whose state a checkpoint holds: QEMU takes
 * the state of older ones. Nothing where either is not known.
 */
export async function deviceModelNotes(
  shell: HostShell,
  { platform }: MachineInfo,
  signal?: AbortSignal,
): Promise<string[]> {
  const captured = platform['deviceModel'];
  if (typeof captured !== 'string') return [];
  const { out } = await runOn(shell, ASK_VERSION, [], signal);
  const here = /version (\S+)/.exec(out)?.[1] ?? '';
  if (ranked(here) === 0 || ranked(here) >= ranked(captured)) return [];
  return [
    `the device model of ${shell.name} is qemu ${here}, older than that of the checkpoint (${captured}): ` +
      'it may not take its state',
  ];
}
