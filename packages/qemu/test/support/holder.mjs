// Attaches to a guest, takes two captures, says so with the process id of its guard, and takes more when a line comes.
// Arguments: QMP socket, mode, whether a guard watches ("guard"), bytes of the kernel's buffer.
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { guardPid, qemuHypervisor, socketDoor } from '@fitdoc/qemu';

const [path, mode, guarded, bufferBytes] = process.argv.slice(2);
const hypervisor = qemuHypervisor(socketDoor('kvm'));
const page = new Uint8Array(4096);
const sink = { reserve: () => true, place: () => page, zero: () => undefined };
const machine = await hypervisor.attach(path, {
  config: {
    mode,
    guard: guarded === 'guard',
    socketDirectory: dirname(path),
    ...(bufferBytes && { bufferBytes: Number(bufferBytes) }),
  },
});
let disks = [];
const capture = async () => {
  const harvest = await machine.capture(sink);
  await harvest.commit();
  disks = harvest.disks ?? [];
};
await capture();
await capture();
console.log(`ready ${guardPid() ?? 0}`);
// Takes a capture, and leaves it unsettled with its first disk being read. Says of which moment the disks before were.
const leave = async () => {
  console.log(JSON.stringify(disks.map(({ name, moment }) => [name, moment])));
  const harvest = await machine.capture(sink);
  for await (const _ of harvest.disks[0].read()) return;
};
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'guard') console.log(`guard ${guardPid() ?? 0}`);
  if (line === 'detach') await machine.detach({ onNote: (text) => console.log(`note ${text}`) });
  if (line === 'capture') await capture().catch((error) => console.log(`failed ${error.code}`));
  if (line === 'leave') await leave();
  if (line !== 'guard') console.log(`done ${line}`);
}
