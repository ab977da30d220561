import { expect, test } from 'vitest';
import { bitmapName, proofOf, type FoundBitmap } from '../src/disks/bitmap.js';
import { takeOver } from '../src/disks/takeover.js';
import type { QmpClient } from '../src/qmp/client.js';

const disk = {
  ...{ name: 'vda', node: '#block1', device: '/machine/peripheral/vda', sizeBytes: 1 << 20 },
  file: '/images/vda.qcow2',
};
const proof = proofOf('life', disk);
const name = bitmapName('fitdoc-cbw-abcdef-0-1', { moment: 'then', proof, before: undefined });
const sound = {
  ...{ name, granularity: 4096, recording: true, busy: false, persistent: false, count: 0 },
};

type Bitmap = Omit<FoundBitmap, 'node'>;

/** What becomes of these bitmaps of a disk whose moment `then` is held. */
async function outcome(...bitmaps: readonly Bitmap[]): Promise<{ told: unknown; done: string[] }> {
  const done: string[] = [];
  const execute = async (command: string, args: object): Promise<unknown> => {
    if (command === 'query-named-block-nodes')
      return [{ 'node-name': disk.node, 'dirty-bitmaps': bitmaps }, { 'node-name': 'other' }];
    done.push(`${command} ${JSON.stringify(args)}`);
    return {};
  };
  const qmp = { execute, closed: new AbortController().signal } as unknown as QmpClient;
  const taken = await takeOver(qmp, 'life', [{ disk, moment: 'then' }]);
  return { told: taken.get('vda'), done };
}

const removal = `block-dirty-bitmap-remove ${JSON.stringify({ node: disk.node, name })}`;

test('a bitmap is gone on with that has noted everything since the moment that is held', async () => {
  expect(await outcome(sound)).toEqual({ told: { bitmap: name }, done: [] });
});

test.each<[string, Partial<Bitmap>]>([
  ['notes no more', { recording: false }],
  ['is in use', { busy: true }],
  ['is kept in an image', { persistent: true }],
  ['is inconsistent', { inconsistent: true }],
  ['is of another granularity', { granularity: 65_536 }],
  ['began at another moment', { name: name.replace('.then.', '.later.') }],
  ['is of another disk, file, size or life', { name: name.replace(proof, proofOf('next', disk)) }],
])('one that %s is not, and is removed', async (_how, other) => {
  const { told, done } = await outcome({ ...sound, ...other });
  expect(told).toEqual({ why: expect.any(String) as string });
  expect(done).toEqual([removal.replace(name, other.name ?? name)]);
});

test('one that ended where another began goes on with what that one has', async () => {
  const next = bitmapName('fitdoc-cbw-abcdef-0-2', { moment: 'later', proof, before: 'then' });
  const { told, done } = await outcome({ ...sound, recording: false }, { ...sound, name: next });
  expect(told).toEqual({ bitmap: name });
  expect(done[0]).toMatch(/^transaction .*-enable.*-merge.*-remove/);
});

test('the proof is another for each of what it is of', () => {
  const others = [
    { ...disk, node: '#block2' },
    { ...disk, file: '/images/vdb.qcow2' },
    { ...disk, sizeBytes: 2 << 20 },
  ].map((other) => proofOf('life', other));
  expect(new Set([proof, proofOf('next', disk), ...others]).size).toBe(5);
});

test('bitmaps of others are left alone', async () => {
  const { done } = await outcome({ ...sound, name: 'backup' });
  expect(done).toEqual([]);
});
