import { groupId, hypervisorFor } from '@fitdoc/adapters';
import { CheckpointSource, exportDisk, exportElf, exportRaw } from '@fitdoc/engine';
import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { chmod, chown } from 'node:fs/promises';
import type { Command } from 'commander';
import { diskNamed, refuseExisting } from '../disks/outputs.js';
import { convertDisk } from '../disks/qemu-img.js';
import { diskFormat } from '../disks/where.js';
import { bytes, count, shortId } from '../output/units.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';

const FORMATS = ['raw', 'elf', 'qemu', 'xen', 'libvirt', 'qcow2'] as const;
type Format = (typeof FORMATS)[number];

interface ExportOptions extends StoreOptions {
  readonly format: string;
  readonly output: string;
  readonly machine?: string;
  readonly force?: boolean;
  readonly group?: string;
  readonly disk?: string;
}

export function exportCommand(program: Command): void {
  storeOptions(
    program
      .command('export <checkpoint>')
      .description(
        "write a checkpoint as a file that other tools read: the guest's memory, an ELF core, a stream, a disk",
      )
      .requiredOption('-o, --output <file>', 'the file to write')
      .option(
        '--format <format>',
        'raw (main memory from page 0), elf (a core for gdb and crash), qemu (a migration stream), xen (for xl restore), libvirt (for virsh restore); with --disk: raw, qcow2',
        'raw',
      )
      .option('--disk <name>', 'a disk of the checkpoint instead of its memory')
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('--force', 'replace the file if it is there')
      .option('--group <name>', 'let a group read the file (default: you alone)'),
  ).action(
    action<[string], ExportOptions>(async (session, options, name) => {
      const format = formatOf(options.format);
      if (options.disk !== undefined) diskFormat(format);
      else if (format === 'qcow2')
        throw new FitdocError('ARGUMENT_INVALID', 'Only a disk is written as qcow2: name it with --disk.');
      await refuseExisting(options.output, options.force);
      const gid = options.group === undefined ? undefined : await groupId(options.group);
      const repository = await session.repository(options);
      const where = session.where(options.machine);
      const entry = await repository.resolve(name, where);
      const read = { signal: session.signal };
      const report = await CheckpointSource.use(session.engine, repository, entry, read, (source) =>
        write(session, source, format, options),
      );
      if (gid !== undefined) {
        await chown(options.output, -1, gid);
        await chmod(options.output, 0o640);
      }
      const size = [
        ...(report.pages === undefined ? [] : [`${count(report.pages)} pages`]),
        ...(report.bytes === undefined ? [] : [bytes(report.bytes)]),
      ];
      session.terminal.line(
        `wrote ${shortId(entry.id)} to ${options.output} as ${format}: ${size.join(', ')}`,
      );
      for (const note of report.notes ?? []) session.terminal.note(note);
      session.terminal.data({
        message_type: 'summary',
        id: entry.id,
        format,
        file: options.output,
        ...report,
      });
    }),
  );
}

interface Written {
  /** Those that are not zero; unknown where another program wrote them. */
  readonly pages?: number;
  readonly bytes?: number;
  readonly notes?: readonly string[];
}

async function write(
  session: Session,
  source: CheckpointSource,
  format: Format,
  { output: file, force = false, disk }: ExportOptions,
): Promise<Written> {
  const call = { signal: session.signal, onProgress: session.terminal.progress, replace: force };
  if (disk !== undefined && format === 'qcow2') {
    const { sizeBytes } = diskNamed(source, disk);
    await convertDisk(source, disk, file, { ...call, format, inPlace: false });
    return { bytes: sizeBytes };
  }
  if (disk !== undefined) {
    const { bytes: size, written } = await exportDisk(diskNamed(source, disk), file, call);
    return { pages: Math.ceil(written / PAGE_SIZE), bytes: size };
  }
  if (format === 'raw' || format === 'qcow2') return exportRaw(source, file, call);
  if (format === 'elf') return exportElf(source, file, call);
  // A stream is what the adapter would send to a waiting hypervisor, written to a file.
  const { hypervisor, rest } = await hypervisorFor(`${format === 'qemu' ? 'kvm' : format}:file:${file}`);
  return hypervisor.restore(rest, source, call);
}

function formatOf(text: string): Format {
  const format = FORMATS.find((each) => each === text);
  if (format) return format;
  throw new FitdocError('ARGUMENT_INVALID', `--format ${text} is not known.`, {
    hint: `Use one of ${FORMATS.join(', ')}.`,
  });
}
