import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { mockMachine } from '@fitdoc/hypervisor-mock';
import { Repository } from '@fitdoc/repository';

const COMMAND = path.resolve(import.meta.dirname, '../../../../apps/cli/dist/main.js');
const MIB = 2 ** 20;
/** A file every so many bytes. */
const FILE_BYTES = 4 * MIB;

/** A disk in a repository on disk, and the same in a raw file. */
export interface Subject {
  readonly store: string;
  readonly raw: string;
}

/** Stores a disk of which `usedMib` are files, compressible by half, with as much room between them as there is. */
export async function makeSubject(folder: string, sizeMib: number, usedMib: number): Promise<Subject> {
  const [storePath, raw] = [path.join(folder, 'store'), path.join(folder, 'vda.raw')];
  const store = await openStore(storePath, { create: true });
  const repository = await Repository.init(store);
  const engine = createEngine();
  const name = `served-${process.pid}`;
  const { hypervisor, rest } = await hypervisorFor(
    `mock:${name}?memory=16M&workload=idle&steps=0&disks=1&disk-size=${sizeMib}M`,
  );
  const machine = await hypervisor.attach(rest, { disks: 'capture' });
  const [disk] = (await mockMachine(name)).disks;
  if (!disk) throw new Error('the mock has no disk');
  const handle = await open(raw, 'w');
  try {
    await handle.truncate(disk.sizeBytes);
    const files = (usedMib * MIB) / FILE_BYTES;
    for (let file = 0; file < files; file++) {
      const offset = Math.floor((file * (sizeMib * MIB)) / files / 4096) * 4096;
      const content = fileContent(file);
      disk.write(offset, content);
      await handle.write(content, 0, content.length, offset);
    }
    await handle.sync();
    await (await engine.protect(machine, repository)).checkpoint();
  } finally {
    await handle.close();
    await machine.detach();
    await engine.close();
    await repository.close();
  }
  return { store: storePath, raw };
}

/** Numbers that look random, every other word of them zero. */
function fileContent(file: number): Uint8Array {
  const words = new Uint32Array(FILE_BYTES / 4);
  let state = file + 1;
  for (let index = 0; index < words.length; index += 2) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[index] = state;
  }
  return new Uint8Array(words.buffer);
}

/** `fitdoc serve` of the newest checkpoint, once it serves. */
export async function startServing({ store }: Subject, socket: string): Promise<ChildProcess> {
  const args = [COMMAND, 'serve', 'latest', '--store', store, '--nbd', `unix:${socket}`, '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  // Read to its end: the command ends itself when nobody reads what it says.
  const lines = createInterface({ input: child.stdout });
  const serves = new Promise<true>((resolve) =>
    lines.on('line', (line) => line.includes('serving') && resolve(true)),
  );
  if (await Promise.race([serves, once(child, 'exit').then(() => false)])) return child;
  throw new Error('fitdoc serve ended at once');
}

/** Runs a program to its end. */
export async function run(command: string, ...args: string[]): Promise<void> {
  const [code] = (await once(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }), 'close')) as [
    number,
  ];
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
}

/** The command that writes the checkpoint's disk. */
export function exportDisk({ store }: Subject, file: string): Promise<void> {
  return run(process.execPath, COMMAND, 'export', 'latest', '--store', store, '--disk', 'disk0', '-o', file);
}

/** Ends a program that was started here. */
export async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
