import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MachineInfo } from '@fitdoc/interface';
import { DeviceModel } from '../src/direct/devices/device-model.js';
import { bindSockets } from '../src/direct/xen/binding.js';
import { deviceModelNotes } from '../src/restore/device-model.js';
import { FakeQemu } from './fake-qemu.js';

const DOMID = 9;
let folder: string;
let qemu: FakeQemu | undefined;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'fitdoc-devices-'))));
afterEach(async () => {
  await qemu?.close();
  qemu = undefined;
  rmSync(folder, { recursive: true });
});

const { signal } = new AbortController();
const started = async (behaviour = {}) =>
  (qemu = await FakeQemu.start(join(folder, `qmp-libxenstat-${DOMID}`), behaviour));
const model = async () => new DeviceModel(await bindSockets(), DOMID, { sockets: folder, state: folder });

describe('the device model', () => {
  it('is asked in order, and its state taken from a file that goes', async () => {
    const { asked } = await started();
    const devices = await model();
    expect(devices.version()).toBe('7.2.22');
    devices.logWrites(true);
    devices.stopAndSave();
    devices.goOn();
    const file = join(folder, `fitdoc-xen-${DOMID}.devices`);
    expect(existsSync(file)).toBe(true);
    const state = Buffer.from(devices.takeState());
    expect(state.readUInt32LE(0)).toBe(2);
    expect(state.readUInt32LE(4)).toBe(0);
    expect(state.subarray(8).toString()).toBe('QEVM-state');
    expect(existsSync(file)).toBe(false);
    devices.close();
    await sleep(50);
    expect(asked.map((each) => each.execute)).toEqual([
      ...['qmp_capabilities', 'xen-set-global-dirty-log', 'stop', 'xen-save-devices-state', 'cont'],
    ]);
    expect(asked[1]!.given).toEqual({ enable: true });
    expect(asked[3]!.given).toEqual({ filename: file, live: false });
  });

  it.each([
    ['refuses', { refuse: ['xen-set-global-dirty-log'] }],
    ['does not answer', { silent: ['xen-set-global-dirty-log'] }],
    ['serves somebody else', { silent: ['greeting'] }],
  ])('that %s is an error, within its time', async (_how, behaviour) => {
    await started(behaviour);
    const devices = await model();
    const start = performance.now();
    expect(() => devices.logWrites(true)).toThrow(
      expect.objectContaining({ code: 'CAPTURE_FAILED' }) as Error,
    );
    expect(performance.now() - start).toBeLessThan(20_000);
    devices.close();
  });

  it('that is not there is an error, and so is a state that it did not write', async () => {
    const devices = await model();
    for (const call of [() => devices.reach(signal), async () => devices.takeState()])
      await expect(call()).rejects.toMatchObject({ code: 'CAPTURE_FAILED' });
  });

  it('that serves somebody else first is waited for while the guest runs, and keeps nobody waiting', async () => {
    await started({ servesAfterMs: 3000 });
    const devices = await model();
    let turns = 0;
    const timer = setInterval(() => turns++, 10);
    await devices.reach(signal);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
    expect(devices.version()).toBe('7.2.22');
    devices.close();
  });

  it('that serves nobody is not waited for by who gives up', async () => {
    await started({ silent: ['greeting'] });
    const devices = await model();
    const givesUp = new AbortController();
    const reached = devices.reach(givesUp.signal);
    givesUp.abort();
    await expect(reached).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('the version of a device model', () => {
  const notes = (here: string, captured?: string) => {
    const start = () => spawn('sh', ['-c', `echo '${here}'`], { stdio: ['pipe', 'pipe', 'pipe'] });
    const platform = captured === undefined ? {} : { deviceModel: captured };
    return deviceModelNotes({ name: 'host', local: true, start }, { platform } as MachineInfo);
  };

  it.each([
    ['QEMU emulator version 7.1.0', 'qemu 7.2.22', 1],
    ['QEMU emulator version 7.2.0', 'qemu 7.2.22', 0],
    ['QEMU emulator version 10.0.3 (Debian 1:10.0.3)', 'qemu 7.2.22', 0],
    ['QEMU emulator version 7.2.22', 'qemu 10.0.3', 1],
    ['', 'qemu 7.2.22', 0],
    ['QEMU emulator version 7.1.0', undefined, 0],
  ])('%j takes the state of %j: %i notes', async (here, captured, count) => {
    expect(await notes(here, captured)).toHaveLength(count);
  });
});
