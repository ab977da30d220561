import { hypervisorFor } from '@fitdoc/adapters';
import { CheckpointSource, exportElf, exportRaw } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { bytes, count, shortId } from '../output/units.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';

const FORMATS = ['raw', 'elf', 'qemu', 'xen'] as const;
type Format = (typeof FORMATS)[number];

interface ExportOptions extends StoreOptions {
  readonly format: string;
  readonly output: string;
  readonly machine?: string;
  readonly force?: boolean;
}

export function exportCommand(program: Command): void {
  storeOptions(
    program
      .command('export <checkpoint>')
      .description(
        "write a checkpoint as a file that other tools read: the guest's memory, an ELF core, a stream",
      )
      .requiredOption('-o, --output <file>', 'the file to write')
      .option(
        '--format <format>',
        'raw (main memory from page 0), elf (a core for gdb and crash), qemu (a migration stream), xen (for xl restore)',
        'raw',
      )
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('--force', 'replace the file if it is there'),
  ).action(
    action<[string], ExportOptions>(async (session, options, name) => {
      const format = formatOf(options.format);
      await refuseExisting(options);
      const repository = await session.repository(options);
      const where = options.machine === undefined ? {} : { machine: options.machine };
      const entry = await repository.resolve(name, where);
      const read = { signal: session.signal };
      const report = await CheckpointSource.use(session.engine, repository, entry, read, (source) =>
        write(session, source, format, options.output),
      );
      const size = report.bytes === undefined ? '' : `, ${bytes(report.bytes)}`;
      session.terminal.line(
        `wrote ${shortId(entry.id)} to ${options.output} as ${format}: ${count(report.pages)} pages${size}`,
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
  readonly pages: number;
  readonly bytes?: number;
  readonly notes?: readonly string[];
}

async function write(
  session: Session,
  source: CheckpointSource,
  format: Format,
  file: string,
): Promise<Written> {
  const call = { signal: session.signal, onProgress: session.terminal.progress };
  if (format === 'raw') return exportRaw(source, file, call);
  if (format === 'elf') return exportElf(source, file, call);
  // A stream is what the adapter would send to a waiting hypervisor, written to a file.
  const { hypervisor, rest } = await hypervisorFor(`${format === 'qemu' ? 'kvm' : 'xen'}:file:${file}`);
  return hypervisor.restore(rest, source, call);
}

function formatOf(text: string): Format {
  const format = FORMATS.find((each) => each === text);
  if (format) return format;
  throw new FitdocError('ARGUMENT_INVALID', `--format ${text} is not known.`, {
    hint: `Use one of ${FORMATS.join(', ')}.`,
  });
}

async function refuseExisting({ output, force }: ExportOptions): Promise<void> {
  if (force) return;
  const present = await access(output).then(
    () => true,
    () => false,
  );
  if (!present) return;
  throw new FitdocError('ARGUMENT_INVALID', `${output} is there already.`, {
    hint: 'Add --force to replace it.',
  });
}
