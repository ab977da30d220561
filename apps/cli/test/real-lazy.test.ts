import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, start, type Outcome } from './cli.js';

const kvm = gate('kvm', await missingForKvm());
const OPTIONS: GuestOptions = {
  accel: 'kvm',
  machine: 'pc-i440fx-7.2',
  name: 'lazy',
  memoryKib: 192 * 1024,
  firmwareHeart: { mib: 32 },
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function boot(incoming = false, more: Partial<GuestOptions> = {}): Promise<RunningGuest> {
  const guest = await startGuest({ ...OPTIONS, incoming, ...more });
  cleanups.push(() => guest.stop());
  if (!incoming) await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
  return guest;
}

/** Beats after a restore are the original's, and intact. */
async function proves(restored: RunningGuest, original: RunningGuest): Promise<void> {
  const beats = await waitForHeartbeats(restored.serialPath, (found) => found.length > 2);
  const sums = new Map(
    (await readHeartbeats(original.serialPath)).map(({ name, beat, sum }) => [`${name} ${beat}`, sum]),
  );
  const [first] = beats;
  expect(first?.sum).toBe(sums.get(`${first?.name} ${first?.beat}`));
  expect(beats.every(({ intact }) => intact)).toBe(true);
}

/** Ctrl-C comes with the first line. */
async function interrupted(...args: string[]): Promise<Outcome> {
  const child = start(...args);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    if (!out.includes('\n') && chunk.includes('\n')) child.kill('SIGINT');
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, out, err };
}

async function repository(guest: RunningGuest, ...secret: string[]): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  const store = path.join(made.path, 'r');
  const taken = await fitdoc(
    'watch',
    `kvm:${guest.qmpPath}`,
    '--store',
    store,
    '--init',
    '--every',
    '100ms',
    '--count',
    '6',
    ...secret,
  );
  expect(taken).toMatchObject({ code: 0 });
  return store;
}

describe.skipIf(kvm.skip)(kvm.title('fitdoc restore to a QEMU, on KVM'), () => {
  it('has the guest run at once where it can, tells so, and stays until all is sent', async () => {
    const guest = await boot();
    const store = await repository(guest);
    const target = await boot(true);
    const to = `kvm:${target.qmpPath}`;
    // The guest depends on it by then: it goes on.
    const restored = await interrupted('restore', 'latest', '--store', store, '--to', to, '--json');
    expect(restored).toMatchObject({ code: 0 });
    const told = messages(restored);
    expect(told[0]).toMatchObject({ message_type: 'running', to });
    expect(told.find(({ message_type: type }) => type === 'summary')).toMatchObject({
      state: 'running',
      lazy: { runningMs: expect.any(Number) as number, faults: expect.any(Number) as number },
    });
    await proves(target, guest);
    expect(
      await fitdoc('restore', 'latest', '--store', store, '--to', to, '--resume', '--json'),
    ).toMatchObject({
      code: 1,
      out: expect.stringContaining('MACHINE_BUSY') as string,
    });

    const place = await folder();
    cleanups.push(place.remove);
    const file = path.join(place.path, 'ram');
    const backend = `memory-backend-file,id=pc.ram,size=192M,mem-path=${file},share=on`;
    const inFile = await boot(true, {
      machine: `${OPTIONS.machine},memory-backend=pc.ram`,
      extraArgs: ['-object', backend],
    });
    const back = ['restore', 'latest', '--store', store, '--to', `kvm:${inFile.qmpPath}`];
    expect(await fitdoc(...back, '--lazy')).toMatchObject({
      code: 21,
      err: expect.stringContaining('its memory is in a file') as string,
    });
    expect(await fitdoc(...back)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/loaded before the guest ran: its memory is in a file/) as string,
    });
    await proves(inFile, guest);
  });

  it('killed while it sends, is gone on with by the command that it told', async () => {
    const guest = await boot();
    const made = await folder();
    cleanups.push(made.remove);
    const secret = ['--key-file', path.join(made.path, 'host.key')];
    expect(await fitdoc('key', 'new', secret[1]!)).toMatchObject({ code: 0 });
    const store = await repository(guest, ...secret);
    const target = await boot(true);
    const child = start(
      'restore',
      'latest',
      '--store',
      store,
      '--to',
      `kvm:${target.qmpPath}`,
      '--lazy',
      '--json',
      ...secret,
    );
    const line = await new Promise<string>((resolve) => {
      let out = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString();
        if (out.includes('\n')) resolve(out.split('\n')[0]!);
      });
    });
    child.kill('SIGKILL');
    const { resume } = JSON.parse(line) as { resume: string };
    const resumed = await fitdoc(...resume.split(' ').slice(1));
    // It may have come to the end before the signal did.
    if (resumed.code !== 0) expect(resumed.err).toContain('it has all of it');
    await proves(target, guest);
  });

  it('refuses what makes no sense before anything is touched', async () => {
    const made = await folder();
    cleanups.push(made.remove);
    for (const args of [
      ['--to', 'mock:x', '--lazy'],
      ['--to', 'kvm:file:x', '--lazy'],
      ['--to', 'kvm:x', '--also', 'y'],
      ['--to', 'kvm:x', '--verify-first'],
      ['--to', 'kvm:x', '--resume', '--no-lazy'],
    ])
      expect(await fitdoc('restore', 'latest', '--store', made.path, ...args)).toMatchObject({ code: 2 });
  });
});
