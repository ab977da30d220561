// Attaches to a guest and dies, by SIGKILL from itself, the moment that the guest stands for a checkpoint.
// Arguments: QMP socket, another QMP socket of the same guest, whether a guard watches ("guard"), mode.
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisor } from '@fitdoc/hypervisor-kvm';

const [path, monitorPath, guarded, mode] = process.argv.slice(2);
const page = new Uint8Array(4096);
const sink = { reserve: () => true, place: () => page, zero: () => undefined };
const machine = await hypervisor.attach(path, {
  config: { guard: guarded === 'guard', mode, socketDirectory: dirname(path) },
});
await (await machine.capture(sink)).commit();
await (await machine.capture(sink)).commit();
// Long enough for the guest to dirty more than a socket holds.
await sleep(2500);
const monitor = connect(monitorPath);
monitor.write('{"execute": "qmp_capabilities"}\n');
monitor.on('data', (chunk) => {
  if (chunk.includes('"STOP"')) process.kill(process.pid, 'SIGKILL');
});
await sleep(200);
await machine.capture(sink);
console.error('still alive after the capture');
process.exitCode = 1;
