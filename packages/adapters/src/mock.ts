// The mock hypervisor and its recording for the apps, which name no adapter themselves.
import { createRequire } from 'node:module';

export { hypervisor, mockMachine, readTrace, type TracePages } from '@fitdoc/hypervisor-mock';

/** Path of the recording of a real guest's memory that comes with the mock. */
export function recordingPath(): string {
  return createRequire(import.meta.url).resolve('@fitdoc/hypervisor-mock/recordings/office.ramtrace.zst');
}
