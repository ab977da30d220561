import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectSocket } from '../src/qmp/socket.js';
import { makeSocketFolder } from '../src/session/socket-folder.js';
import { withoutQemu } from './support/real.js';

let folder: string;
let deep: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fitdoc-long-'));
  deep = path.join(folder, 'a'.repeat(60), 'b'.repeat(60));
  mkdirSync(deep, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(withoutQemu !== undefined)('the QMP socket of a real QEMU', () => {
  it('is reached when its path is longer than the system takes', async () => {
    // QEMU, too, can only bind it from where it is.
    const qemu = spawn(
      'qemu-system-x86_64',
      ['-machine', 'none', '-display', 'none', '-qmp', 'unix:q.sock,server=on,wait=off'],
      { cwd: deep, stdio: 'ignore' },
    );
    try {
      const socket = path.join(deep, 'q.sock');
      await expect.poll(() => existsSync(socket), { timeout: 30_000 }).toBe(true);
      const { client, version } = await connectSocket(socket);
      expect(version.major).toBeGreaterThan(0);
      client.close();
      await expect(connectSocket(path.join(deep, 'other.sock'))).rejects.toMatchObject({
        code: 'MACHINE_NOT_FOUND',
      });
    } finally {
      const ended = once(qemu, 'exit');
      qemu.kill();
      await ended;
    }
  });
});

describe('a folder for sockets that QEMU opens', () => {
  it('is found elsewhere when that for temporary files is too deep', async () => {
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = deep;
    try {
      const made = await makeSocketFolder();
      expect(Buffer.byteLength(made)).toBeLessThan(90);
      rmSync(made, { recursive: true });
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  });

  it('that was asked for and is too deep is refused by name', async () => {
    await expect(makeSocketFolder(deep)).rejects.toMatchObject({
      code: 'LOCATION_INVALID',
      hint: expect.stringContaining('socketDirectory') as string,
    });
  });
});
