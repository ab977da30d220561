import { mkdtemp, rm, writeFile, readFile, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { mock } from './support/daemon.js';
import { test } from './support/test.js';
import { DatagramSocket } from './support/datagram-socket.js';

const LONG = { timeout: 180_000 };

describe.concurrent('fitdocd', () => {
  test('ends at SIGTERM with 0, having finished what was in flight', LONG, async ({ place }) => {
    await place.configure(mock('a', 'every = "1h"', '&slow-capture=1500ms'));
    const daemon = await place.start().ready();
    await daemon.until('a', (machine) => machine.state === 'capturing');
    expect(await daemon.kill('SIGTERM')).toBe(0);
    await expect(stat(place.socket)).rejects.toThrow(/ENOENT/);
    const again = await place.start().ready();
    const { lastCheckpoint } = await again.until('a', (machine) => machine.state !== 'attaching');
    expect(lastCheckpoint).toMatchObject({ kind: 'base', sequence: 0 });
    expect(await again.kill('SIGINT')).toBe(0);
  });

  test(
    'rolls back what does not end within the grace period, or at a second signal',
    LONG,
    async ({ place }) => {
      const machine = mock('a', 'every = "1h"', '&slow-capture=600s');
      for (const [grace, signals] of [
        ['300ms', 1],
        ['10m', 2],
      ] as const) {
        await place.configure(machine, `grace-period = "${grace}"`);
        const daemon = await place.start().ready();
        await daemon.until('a', ({ state }) => state === 'capturing');
        daemon.child.kill('SIGTERM');
        if (signals === 2) {
          await daemon.logged(({ msg }) => msg?.startsWith('stopping') ?? false);
          daemon.child.kill('SIGTERM');
        }
        expect(await daemon.exit()).toBe(0);
      }
    },
  );

  test(
    'goes on with increments after kill -9, and removes the socket that was left',
    LONG,
    async ({ place }) => {
      await place.configure(mock('a'));
      const killed = await place.start().ready();
      await killed.until('a', (machine) => machine.checkpoints >= 3);
      expect(await killed.kill('SIGKILL')).toBe('SIGKILL');
      expect((await stat(place.socket)).isSocket()).toBe(true);
      const daemon = await place.start().ready();
      await daemon.until('a', (machine) => machine.checkpoints >= 2);
      const timeline = await daemon.timeline('a');
      expect(timeline.filter(({ kind }) => kind === 'base')).toHaveLength(1);
      timeline.slice(1).forEach(({ parent }, index) => expect(parent).toBe(timeline[index]?.id));
      const verified = await daemon.job('/v1/machines/a/verify', { data: 1 });
      expect(verified).toMatchObject({ state: 'done', result: { findings: [] } });
    },
  );

  test('refuses to start beside another, or over a file', LONG, async ({ place }) => {
    await place.configure(mock('a', 'every = "1h"'));
    const first = await place.start().ready();
    const second = place.start();
    expect(await second.exit()).toBe(2);
    expect(second.printed).toMatch(/Another daemon listens on .*d\.sock/);
    expect((await first.machine('a')).name).toBe('a');
    await first.kill('SIGTERM');
    await writeFile(place.socket, 'mine');
    const third = place.start();
    expect(await third.exit()).toBe(2);
    expect(third.printed).toMatch(/is there and is no socket/);
    expect(await readFile(place.socket, 'utf8')).toBe('mine');
    // Node would listen at a path that is cut off.
    const file = await place.configure(mock('a', 'every = "1h"'));
    const text = (await readFile(file, 'utf8')).replace('d.sock', `${'d'.repeat(110)}.sock`);
    await writeFile(file, text);
    const fourth = place.start();
    expect(await fourth.exit()).toBe(2);
    expect(fourth.printed).toMatch(/is longer than 107 bytes/);
  });

  test(
    'takes over a changed configuration and keeps every attachment that stays',
    LONG,
    async ({ place }) => {
      await place.configure(mock('kept') + mock('removed') + mock('moved', '', '&steps=1'));
      const daemon = await place.start().ready();
      for (const name of ['kept', 'removed', 'moved']) await daemon.until(name, (m) => m.checkpoints >= 1);
      await place.configure(mock('kept', 'every = "300ms"') + mock('added') + mock('moved', '', '&steps=2'));
      daemon.child.kill('SIGHUP');
      await daemon.logged(({ msg }) => msg?.startsWith('configuration reloaded') ?? false);
      const names = (await daemon.get<{ name: string }[]>('/v1/machines')).map(({ name }) => name).sort();
      expect(names).toEqual(['added', 'kept', 'moved']);
      const kept = await daemon.machine('kept');
      // A new attachment would have begun to count anew.
      expect(kept.checkpoints).toBeGreaterThanOrEqual(1);
      expect(kept.schedule).toBe('every 300 ms');
      await daemon.until('added', (machine) => machine.checkpoints >= 1);
      const moved = await daemon.until('moved', (machine) => machine.checkpoints >= 1);
      expect(moved.location).toMatch(/steps=2/);
      expect((await daemon.timeline('moved')).filter(({ kind }) => kind === 'base')).toHaveLength(1);

      await writeFile(place.file('fitdocd.toml'), '[machines.x]\nevery = "soon"\n');
      daemon.child.kill('SIGHUP');
      const refused = await daemon.logged(({ msg }) => msg?.includes('the old one stays') ?? false);
      expect(JSON.stringify(refused)).toMatch(/fitdocd\.toml:2: machines\.x\.every/);
      const over = await daemon.request<{ code: string; message: string }>('/v1/reload', { method: 'POST' });
      expect(over.status).toBe(422);
      expect(over.body).toMatchObject({ code: 'CONFIG_INVALID' });
      await daemon.until('kept', (machine) => machine.checkpoints > kept.checkpoints);
    },
  );

  test('tells systemd where it stands, and that it lives', LONG, async ({ place }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'fitdocd-notify-'));
    const socket = new DatagramSocket(path.join(folder, 'notify'));
    try {
      await place.configure(mock('a', 'every = "1h"'));
      const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' };
      const daemon = place.start(env);
      expect(await socket.message('READY=1')).toBe('READY=1\nSTATUS=protecting 1 machine(s)');
      await socket.message('WATCHDOG=1');
      daemon.child.kill('SIGHUP');
      expect(await socket.message('RELOADING=1')).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      await socket.message('READY=1');
      daemon.child.kill('SIGTERM');
      await socket.message('STOPPING=1');
      expect(await daemon.exit()).toBe(0);
    } finally {
      socket.close();
      await rm(folder, { recursive: true });
    }
  });

  test('shows its faults and ends with 2 when the configuration has some', LONG, async ({ place }) => {
    await place.configure(mock('a', 'every = "1h"').replace('"local"', '"other"'));
    const daemon = place.start();
    expect(await daemon.exit()).toBe(2);
    expect(daemon.printed).toMatch(
      /fitdocd\.toml:\d+: machines\.a\.repository: there is no repository "other"/,
    );
  });

  test('says so when its TCP address is taken', LONG, async ({ place }) => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as net.AddressInfo;
    await writeFile(place.file('token'), 'x'.repeat(32));
    await place.configure(
      mock('a', 'every = "1h"'),
      `listen = "127.0.0.1:${port}"\ntoken-file = "${place.file('token')}"`,
    );
    const daemon = place.start();
    expect(await daemon.exit()).toBe(2);
    expect(daemon.printed).toMatch(/The API cannot be served: .*EADDRINUSE/);
    taken.close();
  });
});
