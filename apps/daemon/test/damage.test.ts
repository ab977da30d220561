import { execFile } from 'node:child_process';
import { open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { mock, type Place } from './support/daemon.js';
import { test } from './support/test.js';

const FITDOC = fileURLToPath(new URL('../../cli/dist/main.js', import.meta.url));
const run = promisify(execFile);
const LONG = { timeout: 180_000 };

async function objects(place: Place): Promise<string[]> {
  const folder = place.file('repository/machines/a/checkpoints');
  return (await readdir(folder)).sort().map((name) => path.join(folder, name));
}

describe.concurrent('fitdocd goes on', () => {
  test('with a new base when an object of the chain is lost, and says which', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const first = await place.start().ready();
    await first.until('a', (machine) => machine.checkpoints >= 4);
    await first.kill('SIGTERM');
    const [, missing] = await objects(place);
    await rm(missing!);
    const daemon = await place.start().ready();
    const machine = await daemon.until('a', ({ checkpoints }) => checkpoints >= 2);
    expect(machine.lastDamage).toMatchObject({
      code: 'REPOSITORY_DAMAGED',
      missing: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    });
    expect((await daemon.timeline('a')).filter(({ kind }) => kind === 'base')).toHaveLength(2);
    await daemon.logged(({ msg }) => msg?.startsWith('going on without a lost object') ?? false);
    expect((await daemon.request('/metrics')).text).toContain('fitdoc_lost_objects_total{vm="a"} 1');
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('with a new base after a verification found damage that no list shows', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const daemon = await place.start().ready();
    await daemon.until('a', (machine) => machine.checkpoints >= 3);
    const [base] = await objects(place);
    const file = await open(base!, 'r+');
    await file.write(Buffer.from('XXXXXXXX'), 0, 8, 1000);
    await file.close();
    const job = await daemon.job('/v1/machines/a/verify', { data: 1 });
    expect(job).toMatchObject({ state: 'failed', problem: { code: 'VERIFY_FAILED' } });
    const machine = await daemon.until(
      'a',
      ({ lastDamage }) => lastDamage?.code.startsWith('FORMAT') ?? false,
    );
    expect(machine.lastDamage).toMatchObject({
      key: expect.stringContaining(path.basename(base!)) as string,
    });
    const { checkpoints } = machine;
    await daemon.until('a', (now) => now.checkpoints > checkpoints);
    expect((await daemon.timeline('a')).filter(({ kind }) => kind === 'base')).toHaveLength(2);
  });

  test(
    'while its config object is damaged, and by itself once a missing one is rebuilt',
    LONG,
    async ({ place }) => {
      await place.configure(mock('a'));
      const first = await place.start().ready();
      const { checkpoints } = await first.until('a', (machine) => machine.checkpoints >= 2);
      const config = place.file('repository/config.json');
      const { id } = JSON.parse(await readFile(config, 'utf8')) as { id: string };
      await truncate(config, 0);
      await first.until('a', (machine) => machine.checkpoints >= checkpoints + 3);
      expect((await first.machine('a')).lastProblem).toBeUndefined();
      await first.kill('SIGTERM');
      await rm(config);
      const daemon = await place.start().ready();
      const waiting = await daemon.until('a', ({ lastProblem }) => lastProblem !== undefined);
      expect(waiting.lastProblem).toMatchObject({
        code: 'REPOSITORY_DAMAGED',
        hint: expect.stringContaining(`fitdoc repair ${place.repository} --id ${id}`) as string,
      });
      await run(process.execPath, [FITDOC, 'repair', place.repository, '--id', id]);
      await daemon.request('/v1/machines/a/resume', { method: 'POST' });
      await daemon.until('a', (machine) => machine.checkpoints >= 2);
      expect((await daemon.timeline('a')).filter(({ kind }) => kind === 'base')).toHaveLength(1);
    },
  );

  test('from the checkpoint before one that was cut off at the end', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const first = await place.start().ready();
    await first.until('a', (machine) => machine.checkpoints >= 3);
    await first.kill('SIGTERM');
    const last = (await objects(place)).at(-1)!;
    await truncate(last, 100);
    const daemon = await place.start().ready();
    const machine = await daemon.until('a', ({ checkpoints }) => checkpoints >= 2);
    expect(machine.lastDamage).toMatchObject({ code: 'FORMAT_TRUNCATED' });
    expect(machine.lastDamage?.key).toContain(path.basename(last));
    expect((await daemon.timeline('a')).filter(({ kind }) => kind === 'base')).toHaveLength(1);
  });
});
