// Attaches to a domain by COLO, takes captures, says "ready" and its guard's number, and waits to be killed; or dies by SIGKILL from itself within
// the pause, when the first page of a checkpoint has come while QEMU has not sent the rest. Arguments: location, "pause" or "between".
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisor } from '@fitdoc/hypervisor-libvirt';
import { guardPid } from '@fitdoc/qemu';

const [location, when] = process.argv.slice(2);
const page = new Uint8Array(4096);
const sink = { reserve: () => true, place: () => page, zero: () => undefined };
const config = { mode: 'colo', ...(when === 'pause' && { bufferBytes: 4096 }) };
const machine = await hypervisor.attach(location, { config, disks: 'external' });
await (await machine.capture(sink)).commit();
await (await machine.capture(sink)).commit();
console.log(`ready ${guardPid()}`);
if (when === 'pause') {
  // Long enough for the guest to dirty more than a socket holds.
  await sleep(2500);
  const area = { firstGfn: 0, gfnCount: 2 ** 30, bytes: new Uint8Array(new SharedArrayBuffer(4096)) };
  await machine.capture({ ...sink, lend: () => [area], landed: () => process.kill(process.pid, 'SIGKILL') });
  console.error('still alive after the capture');
} else await sleep(600_000);
