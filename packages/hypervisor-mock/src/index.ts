export type { Faults } from './faults.js';
export { hypervisor, machineHash, memoryHash, mockMachine } from './helpers.js';
export type { MockGuest, Proof } from './mock-guest.js';
export { MockHypervisor } from './mock-hypervisor.js';
export type { Shape } from './shape.js';
export { parseTrace, readTrace, type Trace, type TracePages } from './trace-file.js';
