import { verify } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { ListedEntry, Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { bytes, count, shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface VerifyCliOptions extends StoreOptions {
  readonly machine?: string;
  readonly readData?: boolean;
  readonly readDataSubset?: string;
}

export function verifyCommand(program: Command): void {
  storeOptions(
    program
      .command('verify [checkpoints...]')
      .description('check the structure of checkpoints and their chains; exit code 20 when one is damaged')
      .option('--machine <id>', 'only those of one machine')
      .option('--read-data', 'read and decode all page data too')
      .option('--read-data-subset <share>', 'read and decode a random part of it: 10%'),
  ).action(
    action<[string[]], VerifyCliOptions>(async (session, options, names) => {
      const repository = await session.repository(options);
      const entries = await chosen(repository, names, options);
      const report = await verify(repository, entries, {
        data: share(options),
        signal: session.signal,
        onProgress: session.terminal.progress,
      });
      const { terminal } = session;
      for (const finding of report.findings) {
        terminal.data({ message_type: 'finding', ...finding });
        terminal.line(
          `DAMAGED ${shortId(finding.checkpoint ?? 'unreadable')} ${finding.key}: ${finding.message} [${finding.code}]`,
        );
      }
      const damaged = new Set(report.findings.map(({ key }) => key)).size;
      terminal.data({
        message_type: 'summary',
        checkpoints: report.checkpoints,
        records_read: report.records,
        bytes_read: report.bytes,
        damaged,
      });
      const read =
        report.records > 0 ? `, ${count(report.records)} records (${bytes(report.bytes)}) read` : '';
      terminal.line(
        `${count(report.checkpoints)} checkpoints verified${read}: ${damaged === 0 ? 'no damage' : `${damaged} damaged`}`,
      );
      return damaged === 0 ? EXIT.done : EXIT.verificationFailed;
    }),
  );
}

async function chosen(
  repository: Repository,
  names: readonly string[],
  options: VerifyCliOptions,
): Promise<readonly ListedEntry[]> {
  const where = options.machine === undefined ? {} : { machine: options.machine };
  if (names.length > 0) return Promise.all(names.map((name) => repository.resolve(name, where)));
  return repository.list(where);
}

function share(options: VerifyCliOptions): number {
  if (options.readData) return 1;
  if (options.readDataSubset === undefined) return 0;
  const match = /^(\d+(?:\.\d+)?)%$/.exec(options.readDataSubset);
  const percent = match ? Number(match[1]) : Number.NaN;
  if (percent >= 0 && percent <= 100) return percent / 100;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `--read-data-subset takes a percentage such as 10%, not ${options.readDataSubset}.`,
  );
}
