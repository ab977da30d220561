import { writeFile } from 'node:fs/promises';
import { openStore } from '@fitdoc/adapters';
import { Repository } from '@fitdoc/repository';
import { newKeyText, parseKeyFile, parsePassphrase } from '@fitdoc/sealing';
import { describe, expect } from 'vitest';
import { parseConfiguration } from '../src/config/load.js';
import { mock, type Place } from './support/daemon.js';
import { test } from './support/test.js';

const LONG = { timeout: 180_000 };
const PASSPHRASE = 'what the daemon knows';

async function configure(place: Place, secrets: string): Promise<void> {
  await place.configure(mock('a').replace('[machines.a]', `${secrets}\n[machines.a]`));
}

describe('fitdocd', () => {
  test(
    'makes an encrypted repository, protects into it, and goes on after a restart',
    LONG,
    async ({ place }) => {
      const file = place.file('passphrase');
      await writeFile(file, `${PASSPHRASE}\n`, { mode: 0o600 });
      await configure(place, `passphrase-file = "${file}"`);
      const first = await place.start().ready();
      await first.until('a', ({ checkpoints }) => checkpoints >= 2);
      expect(await first.kill('SIGTERM')).toBe(0);
      const store = await openStore(place.repository);
      await expect(Repository.open(store)).rejects.toMatchObject({ code: 'KEY_MISSING' });
      const repository = await Repository.open(store, {
        secrets: async () => [parsePassphrase(Buffer.from(PASSPHRASE), 'of the test')],
      });
      expect((await repository.checkpoints()).length).toBeGreaterThanOrEqual(2);
      await repository.close();
      await store.close();
      const second = await place.start().ready();
      const { lastCheckpoint } = await second.until('a', ({ checkpoints }) => checkpoints >= 1);
      expect(lastCheckpoint?.kind).toBe('increment');
      // A secret that is wrong by now: the problem says so, and nothing is made.
      await writeFile(file, 'another\n');
      expect(await second.kill('SIGTERM')).toBe(0);
      const third = await place.start().ready();
      const { lastProblem } = await third.until('a', (machine) => machine.lastProblem !== undefined);
      expect(lastProblem).toMatchObject({ code: 'KEY_WRONG' });
      expect(JSON.stringify(third.log) + JSON.stringify(first.log)).not.toContain(PASSPHRASE);
      expect(await third.kill('SIGTERM')).toBe(0);
    },
  );

  test('without a secret says which setting is missing', LONG, async ({ place }) => {
    const store = await openStore(place.repository, { create: true });
    const holder = parseKeyFile(newKeyText(), 'of the test');
    await (await Repository.init(store, { encrypt: { holders: [{ holder }] } })).close();
    await store.close();
    await place.configure(mock('a'));
    const daemon = await place.start().ready();
    const { lastProblem } = await daemon.until('a', (machine) => machine.lastProblem !== undefined);
    expect(lastProblem).toMatchObject({ code: 'KEY_MISSING' });
    expect(lastProblem?.hint).toBe(
      'Write passphrase-file, passphrase-command or key-file under [repositories.local].',
    );
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('takes no plain repository for one that is to be encrypted', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const first = await place.start().ready();
    await first.until('a', ({ checkpoints }) => checkpoints >= 1);
    await first.kill('SIGTERM');
    await writeFile(place.file('passphrase'), PASSPHRASE, { mode: 0o600 });
    await configure(place, `passphrase-file = "${place.file('passphrase')}"`);
    const second = await place.start().ready();
    const { lastProblem } = await second.until('a', (machine) => machine.lastProblem !== undefined);
    expect(lastProblem).toMatchObject({ code: 'REPOSITORY_INCOMPATIBLE' });
    expect(lastProblem?.message).toMatch(/is not encrypted/);
    expect(await second.kill('SIGTERM')).toBe(0);
  });
});

test('recipients alone are refused: the daemon could not open what it makes', () => {
  const text = `[repositories.a]\nlocation = "/x"\nrecipients = ["age1x"]\n[machines]\n`;
  expect(() => parseConfiguration(text, 'f.toml')).toThrow(
    /f\.toml:3: repositories\.a\.recipients: the daemon must open/,
  );
});
