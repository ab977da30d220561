import { captureTests } from './hypervisor/capture-tests.js';
import { diskTests } from './hypervisor/disk-tests.js';
import { failureTests } from './hypervisor/failure-tests.js';
import { identityTests } from './hypervisor/identity-tests.js';
import { lifecycleTests } from './hypervisor/lifecycle-tests.js';
import { Guests, type HypervisorSuiteOptions } from './hypervisor/place.js';
import { restoreTests } from './hypervisor/restore-tests.js';
import type { Runner } from './runner.js';

export { DiskOracle, type OracleDisk } from './hypervisor/disk-oracle.js';
export { OracleSink } from './hypervisor/oracle-sink.js';
export type { HypervisorPlace, HypervisorSuiteOptions, RestoreTarget } from './hypervisor/place.js';
export type { Runner } from './runner.js';

/**
 * Declares the behavioural tests of the hypervisor port with `runner`: what the docstrings of `Hypervisor`,
 * `Machine` and `Harvest` promise, as seen from outside. A hypervisor that passes may be put under the engine.
 */
export function hypervisorSuite(runner: Runner, options: HypervisorSuiteOptions): void {
  runner.describe(`hypervisor port: ${options.name}`, () => {
    const guests = new Guests(runner, options);
    identityTests(guests);
    captureTests(guests);
    failureTests(guests);
    diskTests(guests);
    restoreTests(guests);
    lifecycleTests(guests);
  });
}
