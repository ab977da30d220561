import { expect, test, vi } from 'vitest';
import { whileStanding, whileWritten, type InPause } from '../src/session/in-pause.js';

/** What is done about a pause, and when: each is over when the test says so. */
function work() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const step = async (name: string): Promise<void> => {
    begun.push(name);
    return new Promise((resolve) => ends.set(name, resolve));
  };
  let given: AbortSignal | undefined;
  const inPause: InPause = {
    standing: async (signal) => {
      given = signal;
      return step('standing');
    },
    still: async () => step('still'),
  };
  return { inPause, begun, end: (name: string) => ends.get(name)!(), signal: () => given };
}

/** A promise, and what settles it. */
function moment(): { comes: () => void; fails: (error: Error) => void; promise: Promise<void> } {
  let comes = (): void => undefined;
  let fails: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    comes = resolve;
    fails = reject;
  });
  return { comes, fails, promise };
}

/** Lets all that can go on without time do so. */
const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what needs the CPUs to stand is begun when they do, and what needs stillness when all is read', async () => {
  const { inPause, begun, end } = work();
  const [stops, read] = [moment(), moment()];
  let over = false;
  const done = whileWritten(inPause, stops.promise, read.promise).then(() => (over = true));
  await turn();
  expect(begun).toEqual([]);
  stops.comes();
  await turn();
  expect(begun).toEqual(['standing']);
  end('standing');
  read.comes();
  await turn();
  expect(begun).toEqual(['standing', 'still']);
  expect(over).toBe(false);
  end('still');
  await done;
});

test('the guest waits for neither the last byte nor anything else where only its CPUs must stand', async () => {
  const { inPause, end } = work();
  const { standing } = inPause;
  const stops = moment();
  const done = whileWritten({ standing: standing! }, stops.promise, moment().promise);
  stops.comes();
  await turn();
  end('standing');
  await done;
});

test('a guest that tells of no stop stands when all is read', async () => {
  const { inPause, begun } = work();
  const read = moment();
  void whileWritten(inPause, moment().promise, read.promise);
  read.comes();
  await turn();
  expect(begun).toEqual(expect.arrayContaining(['standing', 'still']));
});

test('nothing is begun of a checkpoint that fails before the guest stands', async () => {
  const { inPause, begun } = work();
  const read = moment();
  const done = whileWritten(inPause, moment().promise, read.promise);
  read.fails(new Error('the stream ended'));
  await expect(done).rejects.toThrow('the stream ended');
  expect(begun).toEqual([]);
});

test('QEMU has its time from when it can answer, and not while it writes out', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { inPause, end, signal } = work();
    const { standing } = inPause;
    const [stops, read] = [moment(), moment()];
    const done = whileWritten({ standing: standing! }, stops.promise, read.promise);
    stops.comes();
    await turn();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signal()!.aborted).toBe(false);
    read.comes();
    await turn();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signal()!.aborted).toBe(true);
    end('standing');
    await done;
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('what needs stillness is not begun once the guest was let go on', async () => {
  const { inPause, begun } = work();
  const failing: InPause = { ...inPause, standing: async () => Promise.reject(new Error('refused')) };
  const [stops, read] = [moment(), moment()];
  const done = whileWritten(failing, stops.promise, read.promise);
  stops.comes();
  await expect(done).rejects.toThrow('refused');
  read.comes();
  await turn();
  expect(begun).toEqual([]);
});

test('a failure lets the guest go on, whatever else is under way', async () => {
  const failing: InPause = { ...work().inPause, standing: async () => Promise.reject(new Error('refused')) };
  await expect(whileStanding(failing)).rejects.toThrow('refused');
  const stops = moment();
  stops.comes();
  const read = moment();
  read.comes();
  await expect(whileWritten(failing, stops.promise, read.promise)).rejects.toThrow('refused');
});
