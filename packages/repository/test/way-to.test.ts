import { expect, it } from 'vitest';
import type { Catalogue } from '../src/catalogue/catalogue.js';
import { wayTo } from '../src/catalogue/way-to.js';
import type { CheckpointEntry } from '../src/index.js';
import { modelEntry } from './support/model-entries.js';

const two = modelEntry({ state: 2, sequence: 2, parent: 1 });
const three = modelEntry({ state: 3, sequence: 3, parent: 2 });
const four = modelEntry({ state: 4, sequence: 4, parent: 3 });
const merged = modelEntry({ state: 3, sequence: 3, derived: 1, role: 'base' });

/** A catalogue that gives one listing after the other, the last of them for ever; counts them. */
function listing(...listings: CheckpointEntry[][]) {
  let count = 0;
  const list = () => Promise.resolve(listings[Math.min(count++, listings.length - 1)]!);
  return { catalogue: { list } as unknown as Catalogue, listed: () => count };
}

it('finds the way that took the place of another while it was listed', async () => {
  // What was merged went, and what came of it was not there yet; so again, and then it is there.
  const { catalogue } = listing([two, three, four], [three, four], [four], [four, merged]);
  expect(await wayTo(catalogue, four, {})).toEqual([merged, four]);
});

it('calls damaged what stays broken, after one look at all objects, whatever is added meanwhile', async () => {
  const { catalogue, listed } = listing([three, four], [three, four, modelEntry({ state: 9, sequence: 9 })]);
  await expect(wayTo(catalogue, four, {})).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  expect(listed()).toBe(2);
});

it('says of a restore point that went that it is not there, not that something under it is damaged', async () => {
  const { catalogue } = listing([two, three], [four, merged]);
  await expect(wayTo(catalogue, two, {})).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
});
