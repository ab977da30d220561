import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { linkSignals, withLinkedSignal, withPatience } from '../src/index.js';

test('a linked signal is aborted with the first of its sources, and for its reason', () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const { signal } = linkSignals(undefined, first.signal, second.signal);
  expect(signal.aborted).toBe(false);
  second.abort('second');
  first.abort('first');
  expect(signal.reason).toBe('second');
  expect(linkSignals(first.signal).signal.reason).toBe('first');
});

test('it lets go of its sources when the work is done', async () => {
  const source = new AbortController();
  const signal = await withLinkedSignal([source.signal], async (linked) => linked);
  source.abort();
  expect(signal.aborted).toBe(false);
});

test('patience ends with a code of its own, and not after the work', async () => {
  const hung = withPatience(undefined, 10, (signal) => once(signal));
  await expect(hung).rejects.toMatchObject({ code: 'ABORTED' });
  const caller = new AbortController();
  const cancelled = withPatience(caller.signal, 60_000, (signal) => once(signal));
  caller.abort('enough');
  await expect(cancelled).rejects.toBe('enough');
});

test('a time-out that nobody else holds is not collected before it is due', () => {
  const program = fileURLToPath(new URL('support/collected.mjs', import.meta.url));
  const output = execFileSync(process.execPath, ['--expose-gc', program], { encoding: 'utf8' });
  expect(output.trim()).toBe('time-out, patience');
});

async function once(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
