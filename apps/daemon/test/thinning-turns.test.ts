import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FitdocError } from '@fitdoc/interface';
import { ThinningTurns } from '../src/supervisor/thinning-turns.js';

const never = new AbortController().signal;

/** Work that ends, slowly, when it is told to, as a merge does on a busy host. */
async function untilAborted(signal: AbortSignal): Promise<string> {
  while (!signal.aborted) await sleep(1);
  await sleep(20);
  throw new FitdocError('ABORTED', 'It was told to end.');
}

describe('the turns of those that thin a history', () => {
  it('what is asked for has the background give way, and begins when that has ended', async () => {
    const turns = new ThinningTurns();
    let ended = false;
    const piece = turns.piece((signal) => untilAborted(signal).finally(() => (ended = true)), never);
    await sleep(5);
    expect(await turns.asked(async () => ended)).toBe(true);
    expect(await piece).toBeUndefined();
  });

  it('nothing begins in the background while somebody asks for more, and then it does', async () => {
    const turns = new ThinningTurns();
    let begun = 0;
    const asked = turns.asked(() => sleep(20));
    expect(await turns.piece(async () => ++begun, never)).toBeUndefined();
    await asked;
    expect(await turns.piece(async () => ++begun, never)).toBe(1);
  });

  it('two that ask have it one after the other; who gives up waits no longer', async () => {
    const turns = new ThinningTurns();
    const order: string[] = [];
    const say = (word: string) => async () => {
      order.push(`${word} begins`);
      await sleep(10);
      order.push(`${word} ends`);
    };
    const givesUp = new AbortController();
    const all = Promise.allSettled([
      turns.asked(say('a')),
      turns.asked(say('b')),
      turns.asked(say('c'), givesUp.signal),
    ]);
    givesUp.abort();
    expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('an end of everything, and a failure, are told', async () => {
    const turns = new ThinningTurns();
    const end = new AbortController();
    const piece = turns.piece(untilAborted, end.signal);
    end.abort();
    await expect(piece).rejects.toMatchObject({ code: 'ABORTED' });
    const failing = turns.piece(() => Promise.reject(new Error('no')), never);
    await expect(failing).rejects.toThrow('no');
  });
});
