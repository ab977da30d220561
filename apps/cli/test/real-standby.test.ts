import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForKvm, readHeartbeats } from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, messages, type Message } from './cli.js';
import { beating, cleanUp, endLater, follow, last, MACHINE, place, proves, steps } from './standbys.js';

const kvm = gate('kvm', await missingForKvm());

afterEach(cleanUp);

describe.skipIf(kvm.skip)(kvm.title('fitdoc standby'), () => {
  it('follows a guest in an encrypted repository, of two one starts it while the old one is protected, and closes the chain to that', async () => {
    const guest = await beating();
    const [store, one, two, keyFile, passFile] = await Promise.all(
      ['r', 'one', 'two', 'host.key', 'pass'].map(async (name) => path.join(await place(), name)),
    );
    await writeFile(passFile!, 'a phrase\n', { mode: 0o600 });
    expect(await fitdoc('key', 'new', keyFile!)).toMatchObject({ code: 0 });
    const key = ['--key-file', keyFile!];
    const phrase = ['--passphrase-file', passFile!];
    const at = ['--store', store!, ...key];
    const made = await fitdoc('init', ...at, ...phrase, '--encrypt');
    expect(made).toMatchObject({ code: 0 });
    const old = `kvm:${guest.qmpPath}`;
    const protector = follow('watch', old, ...at, '--every', '300ms');
    await protector.until((said) => said.length > 1);
    const followers = [one!, two!].map((dir) =>
      follow('standby', store!, 'web', '--dir', dir, ...key, '--every', '100ms'),
    );
    for (const follower of followers) await follower.until((said) => steps(said) > 2);

    // What is sealed is opened by each of its secrets, and by nothing less.
    const locked = await fitdoc('standby', 'promote', '--dir', one!, '--json');
    expect(locked).toMatchObject({ code: 12 });
    expect(last(locked)).toMatchObject({ code: 'KEY_MISSING' });
    const tries = await Promise.all(
      [one!, two!].map((dir) => fitdoc('standby', 'promote', '--dir', dir, ...key, '--json')),
    );
    const winner = tries.find(({ code }) => code === 0)!;
    const loser = tries.find(({ code }) => code !== 0)!;
    const promoted = last(winner);
    await endLater(promoted['pid'] as number);
    expect(last(loser)).toMatchObject({ code: 'MACHINE_CONFLICT' });
    expect(loser.code).toBe(11);
    expect(promoted).toMatchObject({
      state: 'running',
      writers_before: [{ program: 'fitdoc watch', location: old }],
    });
    // Whom the directory belonged to until then has let go of it, in order.
    for (const { exited } of followers) expect((await exited)[0]).toBe(0);
    await proves((promoted['consoles'] as string[])[0]!, guest);

    // The one that was protected is told within seconds, runs on, and may be a fork.
    expect((await protector.exited)[0]).toBe(11);
    const refused = await fitdoc('save', old, ...at, '--json');
    expect(refused.code).toBe(11);
    expect(last(refused)).toMatchObject({
      code: 'MACHINE_CONFLICT',
      message: expect.stringContaining('taken over') as string,
      hint: expect.stringMatching(/--fork/) as string,
    });
    expect(last(await fitdoc('save', old, '--fork', ...at, '--json'))).toMatchObject({ kind: 'base' });
    expect((await readHeartbeats(guest.serialPath)).every(({ intact }) => intact)).toBe(true);

    // The chain goes on with the one that took over, from the state that it began as.
    const saved = last(await fitdoc('save', promoted['to'] as string, ...at, '--json'));
    expect(saved).toMatchObject({ kind: 'increment', machine: MACHINE });
    const listed = messages(await fitdoc('list', ...at, '--json'))[0]!;
    const all = (Array.isArray(listed) ? listed : listed['checkpoints']) as Message[];
    expect(all.find(({ id }) => id === saved['id'])).toMatchObject({ parent: promoted['id'] });
    const dir = [one!, two!][tries.indexOf(winner)]!;
    expect(await fitdoc('standby', 'promote', '--dir', dir, ...key, '--json')).toMatchObject({ code: 2 });
    expect(await fitdoc('standby', store!, MACHINE, '--dir', dir, '--once', ...key, '--json')).toMatchObject({
      code: 2,
    });
    // What was refused may follow the new one, and be started in its place.
    const other = [one!, two!][tries.indexOf(loser)]!;
    expect(await fitdoc('standby', store!, MACHINE, '--dir', other, '--once', ...key)).toMatchObject({
      code: 0,
    });
    const next = last(await fitdoc('standby', 'promote', '--dir', other, ...phrase, '--json'));
    expect(next).toMatchObject({ id: saved['id'], takeover: 2 });
    await endLater(next['pid'] as number);
    await proves((next['consoles'] as string[])[0]!, guest);
  }, 400_000);
});
