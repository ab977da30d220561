import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withHooks } from '../src/supervisor/hooks.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fitdocd-hooks-'));
  file = path.join(folder, 'log');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const context = { machine: 'web', location: 'mock:web' };
const note = (text: string): string[] => [
  'sh',
  '-c',
  `echo "${text} $FITDOC_HOOK $FITDOC_MACHINE" >> '${file}'`,
];
const read = (): Promise<string> => readFile(file, 'utf8');

function hooked<Result>(
  before: string[],
  after: string[],
  work: () => Promise<Result>,
  { timeout = 20_000, signal = new AbortController().signal, failed = [] as string[] } = {},
): Promise<Result> {
  const onAfterFailed = (error: Error): void => void failed.push(error.message);
  return withHooks({ before, after, timeout }, context, work, { signal, onAfterFailed });
}

test('hooks run around the work, and know the machine', async () => {
  const result = await hooked(note('freeze'), note('thaw'), async () => {
    expect(await read()).toBe('freeze before web\n');
    return 7;
  });
  expect(result).toBe(7);
  expect(await read()).toBe('freeze before web\nthaw after web\n');
});

test('a thaw runs when the freeze failed, and there is no checkpoint', async () => {
  const work = async (): Promise<never> => expect.unreachable();
  const error = await hooked(['sh', '-c', 'echo broken >&2; exit 3'], note('thaw'), work).catch(
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ code: 'CAPTURE_FAILED', details: { stderr: 'broken\n' } });
  expect((error as Error).message).toMatch(/ended with exit code 3/);
  expect(await read()).toBe('thaw after web\n');
});

test('a thaw runs when the freeze takes too long; all that the freeze started is ended', async () => {
  const started = Date.now();
  const stubborn = ['sh', '-c', `trap '' TERM; sleep 1000 & echo $! > '${file}.pid'; wait; sleep 1000`];
  await expect(hooked(stubborn, note('thaw'), async () => undefined, { timeout: 500 })).rejects.toThrow(
    /took longer than 500 ms/,
  );
  expect(Date.now() - started).toBeLessThan(20_000);
  expect(await read()).toBe('thaw after web\n');
  const pid = Number(await readFile(`${file}.pid`, 'utf8'));
  // Gone, or dead and waiting for its parent to look.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX (gone)');
  expect(status).toMatch(/^State:\t[XZ]/m);
});

test('a thaw runs when the work fails, and its own failure hides nothing', async () => {
  const failed: string[] = [];
  const work = async (): Promise<never> => {
    throw new Error('the store is full');
  };
  await expect(hooked(note('freeze'), ['false'], work, { failed })).rejects.toThrow('the store is full');
  expect(failed).toEqual([expect.stringMatching(/hook after .* exit code 1/)]);
});

test('a hook that is not there is a failure that says so', async () => {
  await expect(hooked(['/nonexistent/freeze'], note('thaw'), async () => 1)).rejects.toThrow(
    /could not be started/,
  );
  expect(await read()).toBe('thaw after web\n');
});

test('a freeze that is cancelled is ended, and thawed', async () => {
  const stop = new AbortController();
  const freezing = hooked(['sleep', '1000'], note('thaw'), async () => 1, { signal: stop.signal });
  setTimeout(() => stop.abort(), 100);
  await expect(freezing).rejects.toThrow(/was cancelled/);
  expect(await read()).toBe('thaw after web\n');
});
