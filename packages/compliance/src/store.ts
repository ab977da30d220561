import type { Runner } from './runner.js';
import type { StoreSuiteOptions } from './store/place.js';
import { bodyTests } from './store/body-tests.js';
import { concurrencyTests } from './store/concurrency-tests.js';
import { keyTests } from './store/key-tests.js';
import { lifecycleTests } from './store/lifecycle-tests.js';
import { listTests } from './store/list-tests.js';
import { objectTests } from './store/object-tests.js';
import { Places } from './store/place.js';

export type { Runner } from './runner.js';
export type { StorePlace, StoreSuiteOptions } from './store/place.js';

/**
 * Declares the behavioural tests of the store port with `runner`: what the docstrings of `Store` promise, as
 * seen from outside. A store that passes may be put under a repository.
 */
export function storeSuite(runner: Runner, options: StoreSuiteOptions): void {
  runner.describe(`store port: ${options.name}`, () => {
    const places = new Places(runner, options);
    objectTests(places);
    keyTests(places);
    listTests(places);
    bodyTests(places);
    concurrencyTests(places);
    lifecycleTests(places);
  });
}
