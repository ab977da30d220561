import type { Json, MachineInfo } from '@fitdoc/interface';
import type { Findings, Target } from './findings.js';

/**
 * What was plugged in must be there, and nothing else. The board's own parts come with the machine type: where
 * both QEMUs are of one version they are the same; another version may have taken one apart anew, and only one
 * that it has as such and yet not here is missing.
 */
export function compareDevices(
  platform: MachineInfo['platform'],
  { devices, types, qemu }: Target,
  { differences, notes }: Findings,
): void {
  const wanted = names(platform['devices']);
  const plugged = names(platform['plugged']);
  if (wanted === undefined) return;
  const missing = without(wanted, devices.all);
  const more = without(devices.all, wanted);
  const one = sameVersion(qemu.text, platform['qemuVersion']);
  const isPlugged = (device: string): boolean =>
    device.includes('@') || plugged?.includes(device) === true || devices.plugged.includes(device);
  for (const device of missing) {
    if (one || isPlugged(device) || types?.has(device) !== false)
      differences.push(`device ${device} is missing`);
    else
      notes.push(`QEMU ${qemu.text} has no ${device} of its own: it loads the machine as its type has it.`);
  }
  for (const device of more) {
    // Checkpoints of earlier versions list no parts of parts.
    if (isPlugged(device) || (one && plugged !== undefined))
      differences.push(`device ${device} is not in the checkpoint`);
  }
}

/** Whether both are of one minor version: `7.2.1` and `7.2.22`. */
export function sameVersion(present: string, wanted: Json | undefined): boolean {
  const minor = (version: string): string => version.split('.').slice(0, 2).join('.');
  return typeof wanted !== 'string' || minor(present) === minor(wanted);
}

function names(value: Json | undefined): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : undefined;
}

/** What of `wanted` is not in `present`, each as often as it is there. */
function without(wanted: readonly string[], present: readonly string[]): string[] {
  const left = [...present];
  return wanted.filter((each) => {
    const index = left.indexOf(each);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}
