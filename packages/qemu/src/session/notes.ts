import { notRunning } from '../machine/run-state.js';

/** What people should know of a guest that QEMU started against its operator's will, for a moment. */
export function ranFor(milliseconds: number): string {
  return `The end of COLO starts a guest in any case: it ran for ${milliseconds.toFixed(2)} ms and was stopped again.`;
}

/** Likewise where QEMU's resumption after a checkpoint undid what had stopped the guest in the same moment. */
export function stoppedAgain(state: string): string {
  return `${notRunning(state).message.replace(/\.$/, '')} as this checkpoint began; QEMU resumed it, and it was stopped again.`;
}

/** Of a guest that COLO's end would start, and that could not be put back as it was. */
export function leftPending(state: string): string {
  return (
    `${notRunning(state).message} The end of COLO would start it: QEMU keeps waiting for its other end until ` +
    'the guest runs, and refuses migrations so long.'
  );
}

/** Of a QEMU that has COLO and does not begin it. */
export function neverBegan(version: string): string {
  return (
    `QEMU ${version} ended its migration where COLO was to begin, which some versions do (10.0.0 to 10.0.6, 10.1): ` +
    'from now on each capture reads all of the memory.'
  );
}

/** Of a stored checkpoint whose disks QEMU did not give up as it should. */
export function notLetGo(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return `Disks are taken in full: QEMU did not let go of those of the checkpoint before. ${why}`;
}
