// Restores a checkpoint lazily, or goes on with that ("resume"), and dies by SIGKILL from itself at a read of it.
// Arguments: QMP socket, file of the checkpoint, at which read to die (0: never), milliseconds a read takes, verb.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { deserialize } from 'node:v8';
import { qemuHypervisor, socketDoor } from '@fitdoc/qemu';

const [path, file, dieAt, delayMs, verb] = process.argv.slice(2);
const hypervisor = qemuHypervisor(socketDoor('kvm'));
const { info, deviceState, stored, kept } = deserialize(await readFile(file));
const pages = new Map(kept.map(({ gfn, bytes }) => [gfn, bytes]));
let reads = 0;
const read = async (gfn, count) => {
  if (++reads === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
  await sleep(Number(delayMs));
  const found = [];
  for (let at = gfn; at < gfn + count; at++) if (pages.has(at)) found.push({ gfn: at, bytes: pages.get(at) });
  return found;
};
const source = {
  info,
  deviceState,
  pages: () => {
    throw new Error('not asked for');
  },
  random: { stored, read, recent: async () => [] },
};
const report = await hypervisor[verb](path, source, { config: { lazy: true } });
console.log(JSON.stringify({ state: report.state, pages: report.pages, reads }));
