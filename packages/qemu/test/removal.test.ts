import { FitdocError } from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { removeExport } from '../src/disks/removal.js';
import type { QmpClient } from '../src/qmp/client.js';

/** A QEMU with one export, which refuses to end it so often. */
function qemu(refusals: number): { qmp: QmpClient; asked: string[] } {
  const asked: string[] = [];
  let there = true;
  const execute = async (command: string): Promise<unknown> => {
    asked.push(command);
    if (command === 'query-block-exports') return there ? [{ id: 'ours' }] : [];
    if (refusals-- > 0) {
      const details = { description: 'not yet' };
      throw new FitdocError('PROTOCOL_ERROR', 'QEMU refused block-export-del: not yet', { details });
    }
    there = false;
    return {};
  };
  return { qmp: { execute, closed: new AbortController().signal } as unknown as QmpClient, asked };
}

test('an export that QEMU refuses to end is asked for again until it is gone', async () => {
  const { qmp, asked } = qemu(3);
  await removeExport(qmp, 'ours');
  expect(asked.filter((command) => command === 'block-export-del')).toHaveLength(4);
});

test("one that stays is told of, in QEMU's own words", async () => {
  const { qmp } = qemu(Number.POSITIVE_INFINITY);
  await expect(removeExport(qmp, 'ours')).rejects.toMatchObject({
    code: 'PROTOCOL_ERROR',
    message: 'QEMU does not end the export ours. QEMU refused block-export-del: not yet',
    details: { export: 'ours' },
  });
});

test('one that is not there is removed', async () => {
  const { qmp, asked } = qemu(0);
  await removeExport(qmp, 'another');
  expect(asked).toEqual(['query-block-exports']);
});
