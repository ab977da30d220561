import type { ThinReport } from '@fitdoc/engine';
import { expect, test } from 'vitest';
import { HistoryRecord } from '../src/supervisor/history-record.js';

const SECOND = 1000;

/** A look that found everything done, the newest checkpoint being the `newestSequence`-th. */
function look(newestSequence: number, objects: number): ThinReport {
  const plan = {
    isWhole: false,
    keep: [],
    remove: [],
    jobs: [],
    points: { count: newestSequence + 1, newestSequence },
    path: { newest: objects, worst: objects },
  };
  const sums = { merges: 0, planMs: 0, readBytes: 0, writtenBytes: 0, freedBytes: 0 };
  return { machineId: 'm', plan, ...sums, removed: [], stuck: [], failures: [] } as unknown as ThinReport;
}

function commit(record: HistoryRecord, sequence: number, kind: 'base' | 'increment' = 'increment'): void {
  record.committed({ sequence, kind, bytes: 10, capturedAtMs: sequence * SECOND });
}

test('what a restore reads by now is told, however long the next look is in coming', () => {
  const record = new HistoryRecord();
  for (let sequence = 0; sequence < 20; sequence++) commit(record, sequence, sequence ? 'increment' : 'base');
  expect(record.status()).toBeUndefined();
  // Taken while the look went on: its listing knows none of these.
  for (let sequence = 20; sequence < 30; sequence++) commit(record, sequence);
  record.thinned(look(19, 8));
  expect(record.status()).toMatchObject({
    pathObjects: 18,
    worstPathObjects: 18,
    lagObjects: 0,
    lagSeconds: 0,
  });
  for (let sequence = 30; sequence < 90; sequence++) commit(record, sequence);
  expect(record.status()).toMatchObject({
    pathObjects: 78,
    worstPathObjects: 78,
    lagObjects: 14,
    lagSeconds: 69,
    capturedBytes: 900,
  });
  record.thinned(look(89, 8));
  expect(record.status()).toMatchObject({ pathObjects: 8, worstPathObjects: 8, lagObjects: 0 });
});

test('a listing without a plan changes nothing of what is told', () => {
  const record = new HistoryRecord();
  record.thinned(look(19, 8));
  for (let sequence = 20; sequence < 30; sequence++) commit(record, sequence);
  const before = record.status();
  record.counted(28, 27);
  expect(record.status()).toEqual(before);
  record.thinned(look(29, 6));
  expect(record.status()).toMatchObject({ pathObjects: 6 });
});

test('a base reads nothing but itself, and the worst is what it was', () => {
  const record = new HistoryRecord();
  record.thinned(look(19, 60));
  for (let sequence = 20; sequence < 26; sequence++)
    commit(record, sequence, sequence === 24 ? 'base' : 'increment');
  expect(record.status()).toMatchObject({ pathObjects: 2, worstPathObjects: 60, lagObjects: 0 });
});
