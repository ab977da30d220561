import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { missingForCeph, startCeph } from '../../../tools/lab/src/ceph/index.js';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForKvm } from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, type Outcome } from './cli.js';
import { beating, cleanUp, cleanups, endLater, follow, last, place, proves, steps } from './standbys.js';

const s3 = gate('s3', (await missingForKvm()) ?? (await missingForCeph()));

afterEach(cleanUp);

/** An encrypted repository in a bucket, and a key that opens it. */
async function bucket(): Promise<{ readonly store: string; readonly key: readonly string[] }> {
  const folder = await place();
  const ceph = await startCeph();
  cleanups.push(() => ceph.stop());
  const { accessKeyId, secretAccessKey } = ceph;
  const credentials = path.join(folder, 'credentials.json');
  await writeFile(credentials, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 });
  process.env['FITDOC_S3_CREDENTIALS_FILE'] = credentials;
  const store = `s3:${ceph.endpoint}/${ceph.bucket}/host1`;
  const keyFile = path.join(folder, 'host.key');
  expect(await fitdoc('key', 'new', keyFile)).toMatchObject({ code: 0 });
  const key = ['--key-file', keyFile];
  expect(await fitdoc('init', '--store', store, '--encrypt', ...key)).toMatchObject({ code: 0 });
  return { store, key };
}

describe.skipIf(s3.skip)(s3.title('fitdoc standby of a repository in a bucket'), () => {
  it('follows, of two promoted at once one starts, and a protector that was cut off is a fork when it is back', async () => {
    const [guest, { store, key }] = await Promise.all([beating(), bucket()]);
    const run = (...args: string[]): Promise<Outcome> => fitdoc(...args, ...key, '--json');
    const old = `kvm:${guest.qmpPath}`;
    const at = ['--store', store];
    const protector = follow('watch', old, ...at, ...key, '--every', '300ms');
    await protector.until((said) => said.length > 1);
    const directories = [await place(), await place()];
    const followers = directories.map((dir) =>
      follow('standby', store, 'web', '--dir', dir, ...key, '--every', '100ms'),
    );
    for (const follower of followers) await follower.until((said) => steps(said) > 1);

    // As one whose host hangs.
    protector.child.kill('SIGSTOP');
    const tries = await Promise.all(directories.map((dir) => run('standby', 'promote', '--dir', dir)));
    protector.child.kill('SIGCONT');
    const winner = tries.find(({ code }) => code === 0)!;
    const promoted = last(winner);
    await endLater(promoted['pid'] as number);
    const loser = tries.find((each) => each !== winner)!;
    expect(loser).toMatchObject({ code: 11 });
    expect(last(loser)).toMatchObject({ code: 'MACHINE_CONFLICT' });
    await proves((promoted['consoles'] as string[])[0]!, guest);

    expect((await protector.exited)[0]).toBe(11);
    expect(last(await run('save', old, ...at))).toMatchObject({ code: 'MACHINE_CONFLICT' });
    expect(last(await run('save', old, '--fork', ...at))).toMatchObject({ kind: 'base' });
    expect(last(await run('save', promoted['to'] as string, ...at))).toMatchObject({ kind: 'increment' });
  }, 400_000);
});
