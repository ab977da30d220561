import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '@fitdoc/engine';
import type { Repository } from '@fitdoc/repository';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { Histories } from '../src/supervisor/histories.js';
import type { Chain } from '../src/supervisor/operations.js';

const told: string[] = [];
let histories: Histories | undefined;
afterEach(async () => {
  told.length = 0;
  await histories?.close();
});

/** Of machines without a configuration: nothing but their count is kept. */
function counting(chain: (machine: string) => Promise<Chain>): Histories {
  histories = new Histories({
    engine: {} as Engine,
    logger: pino({ level: 'silent' }),
    chain,
    settings: () => undefined,
    bandwidth: () => undefined,
    onChange: (machine) => told.push(machine),
  });
  return histories;
}

const empty = { checkpoints: () => Promise.resolve([]) } as unknown as Repository;
const chain: Chain = { repository: empty, machineId: 'id' };

test('a machine is counted while the store of another one hangs', async () => {
  let answer: (found: Chain) => void = () => undefined;
  const hangs = new Promise<Chain>((resolve) => (answer = resolve));
  const all = counting((machine) => (machine === 'hangs' ? hangs : Promise.resolve(chain)));
  all.attached('hangs');
  all.attached('other');
  await vi.waitFor(() => expect(told).toEqual(['other']), 10_000);
  answer(chain);
  await vi.waitFor(() => expect(told).toEqual(['other', 'hangs']), 10_000);
});

test('nothing is told or kept of a machine that was forgotten while it was counted', async () => {
  let answer: (found: Chain) => void = () => undefined;
  const all = counting(() => new Promise((resolve) => (answer = resolve)));
  all.attached('m');
  all.forget('m');
  answer(chain);
  await sleep(0);
  await all.close();
  expect(told).toEqual([]);
  expect(all.complete({ name: 'm' } as Parameters<Histories['complete']>[0])).toEqual({ name: 'm' });
});
