import { afterEach, expect, test, vi } from 'vitest';
import { Background, type BackgroundOutcome } from '../src/supervisor/background.js';

let background: Background | undefined;
afterEach(() => background?.close());

test('a piece of work is behind while more checkpoints were taken than there was room for, of its machine or one that waits', async () => {
  let end: (outcome: BackgroundOutcome) => void = () => undefined;
  const asked: (() => boolean)[] = [];
  background = new Background({
    run: (_machine, signal, isBehind) => {
      asked.push(isBehind);
      return new Promise((resolve) => {
        end = resolve;
        signal.addEventListener('abort', () => resolve({ isMore: false, costMs: 0, room: 64 }));
      });
    },
    onError: () => undefined,
  });
  const capture = (count: number, machine = 'm') => {
    for (let each = 0; each < count; each++) background?.captured(machine);
  };
  const begun = (pieces: number) => vi.waitFor(() => expect(asked).toHaveLength(pieces), 10_000);

  capture(1);
  await begun(1);
  capture(16);
  expect(asked[0]?.()).toBe(false);
  capture(1);
  expect(asked[0]?.()).toBe(true);

  end({ isMore: true, costMs: 0, room: 40 });
  await begun(2);
  expect(asked[1]?.()).toBe(false);
  capture(40);
  expect(asked[1]?.()).toBe(false);
  capture(1);
  expect(asked[1]?.()).toBe(true);
  end({ isMore: false, costMs: 0, room: 64 });
  await begun(3);
  expect(asked[2]?.()).toBe(false);
  // Another machine's turn comes after this one's.
  capture(16, 'other');
  expect(asked[2]?.()).toBe(false);
  capture(1, 'other');
  expect(asked[2]?.()).toBe(true);
});
