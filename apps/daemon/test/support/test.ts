import { test as base } from 'vitest';
import { Place } from './daemon.js';

/** A test with a place of its own, so that many can run at a time. */
export const test = base.extend<{ place: Place }>({
  // eslint-disable-next-line no-empty-pattern -- vitest reads the parameter's form
  place: async ({}, use) => {
    const place = await Place.make();
    await use(place);
    await place.remove();
  },
});
