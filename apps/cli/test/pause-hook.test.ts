import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages } from './cli.js';

const kvm = gate('kvm', await missingForKvm());

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function place(): Promise<{ readonly at: string; readonly store: readonly string[] }> {
  const made = await folder();
  cleanups.push(made.remove);
  return { at: made.path, store: ['--store', path.join(made.path, 'r'), '--init'] };
}

/** Asks a QEMU, at a monitor of the test's own, for the state of its guest, as a hook. */
const ASK = `
import { connect } from 'node:net';
const socket = connect(process.argv[2]);
let text = '';
socket.on('data', (chunk) => {
  text += chunk;
  const status = /"status": "([a-z-]+)"/.exec(text)?.[1];
  if (status === undefined) return;
  console.log('the guest is ' + status);
  process.exit();
});
socket.write('{"execute": "qmp_capabilities"}{"execute": "query-status"}');
`;

describe('a pause hook', () => {
  const machine = 'mock:hooked?memory=1M&workload=idle&disks=1';

  it('is kept with the checkpoint, and shown', async () => {
    const { store } = await place();
    const text = 'echo "snap-$FITDOC_SEQUENCE of $FITDOC_MACHINE_ID"; echo "at $FITDOC_LOCATION"';
    const save = ['save', machine, ...store, '--disks', 'external', '--pause-hook', text, '--json'];
    const [taken] = messages(await fitdoc(...save, '--pause-hook-timeout', '30s'));
    const output = `snap-0 of hooked\nat ${machine}`;
    expect(taken).toMatchObject({ pause_hook: { output, failure: null } });
    const { out } = await fitdoc('info', 'latest', ...store.slice(0, 2));
    expect(out).toMatch(/^pause hook +took \d.*\n +snap-0 of hooked\n +at mock:hooked/m);
  });

  it('may leave something running, for which nobody waits', async () => {
    const { store } = await place();
    const save = ['save', machine, ...store, '--disks', 'external', '--pause-hook', 'sleep 1000 & echo $!'];
    const [taken] = messages(await fitdoc(...save, '--pause-hook-timeout', '30s', '--json'));
    const pid = Number((taken?.['pause_hook'] as { output: string }).output);
    // It runs still: to signal what has ended throws.
    process.kill(pid);
  });

  it('that fails leaves no checkpoint, or a note', async () => {
    const { store } = await place();
    const save = ['save', machine, ...store, '--disks', 'external', '--pause-hook', 'echo full >&2; exit 4'];
    const failed = await fitdoc(...save, '--pause-hook-timeout', '30s');
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.err).toContain('The pause hook ended with exit code 4 (full).');
    const noted = await fitdoc(...save, '--pause-hook-timeout', '30s', '--pause-hook-failure', 'note');
    expect(noted).toMatchObject({ code: 0, err: expect.stringContaining('exit code 4 (full)') as string });
    const { out } = await fitdoc('info', 'latest', ...store.slice(0, 2));
    expect(out).toMatch(/^pause hook +took .*\n +it ended with exit code 4 \(full\)$/m);
    const unknown = await fitdoc(...save, '--pause-hook-failure', 'maybe');
    expect(unknown.err).toContain('Use fail or note.');
  });
});

describe.skipIf(kvm.skip)(kvm.title('a pause hook of a QEMU guest'), () => {
  it.each(['colo', 'precopy'])('runs while it stands, by %s, and the guest goes on', async (mode) => {
    const { at, store } = await place();
    const guest = await boot(at);
    const asking = path.join(at, 'ask.mjs');
    await writeFile(asking, ASK);
    const hook = `exec '${process.execPath}' '${asking}' '${at}/monitor.sock'`;
    const watch = ['watch', `kvm:${guest.qmpPath}`, ...store, '--every', '100ms', '--count', '3', '--json'];
    const hooked = ['--disks', 'external', '--pause-hook', hook, '--pause-hook-timeout', '25s'];
    const outcome = await fitdoc(...watch, ...hooked, '--set', `mode=${mode}`);
    const taken = messages(outcome).filter(({ message_type: type }) => type === 'checkpoint');
    expect(taken.map(({ pause_hook: of }) => (of as { output: string }).output)).toEqual(
      taken.map(() => expect.stringMatching(/^the guest is (colo|postmigrate|finish-migrate)$/) as string),
    );
    expect(taken.map(({ kind }) => kind)).toEqual(['base', 'increment', 'increment']);
    const beats = (found: readonly unknown[]): number => found.length;
    const before = beats(await waitForHeartbeats(guest.serialPath, () => true));
    await waitForHeartbeats(guest.serialPath, (now) => beats(now) > before + 2);
  });
});

async function boot(at: string): Promise<RunningGuest> {
  const monitor = ['-qmp', `unix:${at}/monitor.sock,server=on,wait=off`];
  const guest = await startGuest({ accel: 'kvm', machine: 'pc', name: 'hooked', extraArgs: monitor });
  cleanups.push(() => guest.stop());
  await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
  return guest;
}
