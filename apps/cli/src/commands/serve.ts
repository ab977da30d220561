import { groupId } from '@fitdoc/adapters';
import { CheckpointSource } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import { NbdServer, type NbdAddress, type NbdExport } from '@fitdoc/nbd';
import { chmod, chown } from 'node:fs/promises';
import type { Command } from 'commander';
import { bytes, shortId, time } from '../output/units.js';
import { cannotListen, clearSocket, isOpenToOthers, nbdAddress, uriOf } from '../serve/address.js';
import { exportsOf } from '../serve/exports.js';
import { teller } from '../serve/tell.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';

interface ServeOptions extends StoreOptions {
  readonly nbd: string;
  readonly disk?: string[];
  readonly group?: string;
  readonly machine?: string;
}

const AFTER = `
Start a machine on it at once, or fetch one file of yesterday:
  fitdoc serve latest --nbd unix:/run/disks.sock
  qemu-img create -f qcow2 -F raw -b 'nbd+unix:///vda?socket=/run/disks.sock' vda.qcow2
  nbdinfo --list 'nbd+unix:///?socket=/run/disks.sock'
  nbd-client -unix /run/disks.sock -name vda /dev/nbd0 -readonly && mount -o ro /dev/nbd0 /mnt
What the machine writes goes into the overlay. To have it stand alone, tell its QEMU
  { "execute": "block-stream", "arguments": { "job-id": "alone", "device": "vda" } }
and end this command when the event BLOCK_JOB_COMPLETED has come for each disk.`;

export function serveCommand(program: Command): void {
  storeOptions(
    program
      .command('serve <checkpoint>')
      .description("serve a checkpoint's disks over NBD, read-only, straight from the repository")
      .requiredOption('--nbd <address>', 'where: unix:PATH, tcp:PORT (this machine alone), tcp:HOST:PORT')
      .option('--disk <name...>', 'only these disks (default: all)')
      .option('--group <name>', 'let a group connect to the unix socket (default: you alone)')
      .option('--machine <id>', 'the machine that names like latest mean')
      .addHelpText('after', AFTER),
  ).action(
    action<[string], ServeOptions>(async (session, options, name) => {
      const address = nbdAddress(options.nbd);
      if (options.group !== undefined && !('path' in address))
        throw new FitdocError('ARGUMENT_INVALID', '--group is about a unix socket.');
      const gid = options.group === undefined ? undefined : await groupId(options.group);
      const repository = await session.repository(options);
      const entry = await repository.resolve(name, session.where(options.machine));
      const { signal } = session;
      await CheckpointSource.use(session.engine, repository, entry, { signal }, async (source) => {
        if (source.disks.length === 0)
          throw new FitdocError('ARGUMENT_INVALID', 'The checkpoint holds no disks.', {
            hint: 'Disks are captured where the machine was attached with --disks capture.',
          });
        await serve(session, source, exportsOf(source, options.disk), { address, gid });
      });
    }, true),
  );
}

interface Place {
  readonly address: NbdAddress;
  readonly gid: number | undefined;
}

/** Until Ctrl-C. What it reads stays in the repository until then. */
async function serve(
  session: Session,
  { entry }: CheckpointSource,
  exports: readonly NbdExport[],
  { address, gid }: Place,
): Promise<void> {
  const { terminal, interrupts } = session;
  if ('path' in address) await clearSocket(address);
  const server = await NbdServer.listen(address, { exports, onEvent: teller(terminal) }).catch(cannotListen);
  try {
    if (gid !== undefined && 'path' in address) {
      await chown(address.path, -1, gid);
      await chmod(address.path, 0o660);
    }
    const at = 'path' in address ? address : { ...address, port: server.port ?? address.port };
    const disks = exports.map(({ name, sizeBytes }) => ({
      name,
      size_bytes: sizeBytes,
      uri: uriOf(name, at),
    }));
    if (isOpenToOthers(at))
      terminal.note('note: whoever reaches that address can read the disks: NBD asks nobody who they are.');
    terminal.line(
      `serving ${entry.machineName} as of ${time(entry.capturedAtMs)} (checkpoint ${shortId(entry.id)}) until Ctrl-C:`,
    );
    for (const { name, size_bytes: size, uri } of disks) terminal.line(`  ${name}, ${bytes(size)}: ${uri}`);
    terminal.data({ message_type: 'serving', id: entry.id, disks });
    await ended(interrupts.stop);
  } finally {
    await server.close();
  }
  terminal.line('served no longer');
  terminal.data({ message_type: 'summary', id: entry.id });
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
