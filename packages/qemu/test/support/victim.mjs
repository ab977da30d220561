// Attaches to a guest and dies, by SIGKILL from itself, when the first page of a checkpoint has come while QEMU, for
// want of a buffer, has not sent the rest: within the pause. Arguments: QMP socket, whether a guard watches ("guard"), mode.
import { setTimeout as sleep } from 'node:timers/promises';
import { qemuHypervisor, socketDoor } from '@fitdoc/qemu';

const [path, guarded, mode] = process.argv.slice(2);
const hypervisor = qemuHypervisor(socketDoor('kvm'));
const page = new Uint8Array(4096);
const sink = { reserve: () => true, place: () => page, zero: () => undefined };
const machine = await hypervisor.attach(path, {
  // A buffer that takes it all would leave QEMU nothing to wait for.
  config: { guard: guarded === 'guard', mode, bufferBytes: 4096 },
});
await (await machine.capture(sink)).commit();
await (await machine.capture(sink)).commit();
// Long enough for the guest to dirty more than a socket holds.
await sleep(2500);
const area = { firstGfn: 0, gfnCount: 2 ** 30, bytes: new Uint8Array(new SharedArrayBuffer(4096)) };
await machine.capture({
  ...sink,
  lend: () => [area],
  landed: () => process.kill(process.pid, 'SIGKILL'),
});
console.error('still alive after the capture');
process.exitCode = 1;
