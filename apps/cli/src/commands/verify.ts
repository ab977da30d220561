import { verifyHeld, type Verifiable, type VerifyFinding } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import { isIntact, type Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { bootCheckpoint, bootOptions, checkBootOptions, type BootOptions } from '../launch/boot.js';
import { bytes, count, isInFuture, shortId } from '../output/units.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';

interface VerifyCliOptions extends StoreOptions, BootOptions {
  readonly machine?: string;
  readonly readData?: boolean;
  readonly readDataSubset?: string;
}

export function verifyCommand(program: Command): void {
  const command = storeOptions(
    program
      .command('verify [checkpoints...]')
      .description('check the structure of checkpoints and their chains; exit code 20 when one is damaged')
      .option('--machine <id>', 'only those of one machine')
      .option('--read-data', 'read and decode all page data too')
      .option('--read-data-subset <share>', 'read and decode a random part of it: 10%'),
  );
  bootOptions(command).action(
    action<[string[]], VerifyCliOptions>(async (session, options, given) => {
      checkBootOptions(options);
      const { names, changed } = splitNames(given);
      if (options.boot === true) {
        const one = await oneOf(session, options, names);
        return bootCheckpoint(session, one.repository, one.entry, options, changed);
      }
      return checkAll(session, options, names);
    }),
  );
}

async function checkAll(
  session: Session,
  options: VerifyCliOptions,
  names: readonly string[],
): Promise<number> {
  const repository = await session.repository(options);
  session.tellNotes(repository.store);
  const list = () => chosen(repository, names, options);
  const { entries, ...report } = await verifyHeld(repository, list, {
    data: share(options),
    signal: session.signal,
    onProgress: session.terminal.progress,
  });
  await lookAfterCatalogue(repository, names, options, session.signal);
  const { terminal } = session;
  for (const finding of report.findings) {
    terminal.data({ message_type: 'finding', ...finding });
    const verdict = isDamage(finding) ? 'DAMAGED' : 'UNREADABLE';
    terminal.line(
      `${verdict} ${shortId(finding.checkpoint ?? 'unreadable')} ${finding.key}: ${finding.message} [${finding.code}]`,
    );
  }
  const future = entries.filter((entry) => isIntact(entry) && isInFuture(entry.capturedAtMs)).length;
  if (future > 0) {
    terminal.aside(
      `${count(future)} checkpoints are dated in the future: a clock was wrong then, or is now.`,
    );
  }
  const damaged = objects(report.findings.filter(isDamage));
  const unreadable = objects(report.findings.filter((finding) => !isDamage(finding)));
  terminal.data({
    message_type: 'summary',
    checkpoints: report.checkpoints,
    records_read: report.records,
    bytes_read: report.bytes,
    damaged,
    unreadable,
    in_future: future,
  });
  const read = report.records > 0 ? `, ${count(report.records)} records (${bytes(report.bytes)}) read` : '';
  terminal.line(
    `${count(report.checkpoints)} checkpoints verified${read}: ${damaged === 0 ? 'no damage' : `${damaged} damaged`}` +
      (unreadable === 0 ? '' : `, ${unreadable} could not be read and may be good`),
  );
  if (damaged > 0) return EXIT.verificationFailed;
  return unreadable > 0 ? EXIT.partly : EXIT.done;
}

/** Names of checkpoints, and what stands behind `--`: from the first that begins with a dash, or names a program. */
function splitNames(given: readonly string[]): { names: readonly string[]; changed: readonly string[] } {
  const at = process.argv.lastIndexOf('--');
  const behind = at < 0 ? 0 : process.argv.length - at - 1;
  return { names: given.slice(0, given.length - behind), changed: given.slice(given.length - behind) };
}

async function oneOf(session: Session, options: VerifyCliOptions, names: readonly string[]) {
  if (names.length > 1)
    throw new FitdocError('ARGUMENT_INVALID', '--boot takes one checkpoint.', {
      hint: 'Start them one by one.',
    });
  const repository = await session.repository(options);
  return {
    repository,
    entry: await repository.resolve(names[0] ?? 'latest', session.where(options.machine)),
  };
}

/** All of it was looked at anyway. What the catalogue holds is derived, so that its failures are no findings. */
async function lookAfterCatalogue(
  repository: Repository,
  names: readonly string[],
  { machine }: VerifyCliOptions,
  signal: AbortSignal,
): Promise<void> {
  if (names.length > 0) return;
  const where = machine === undefined ? {} : { machine };
  await repository.maintain({ ...where, audit: true, signal }).catch(() => undefined);
}

/** What the store would not give is not known to be damaged. */
function isDamage({ code }: VerifyFinding): boolean {
  return code !== 'STORE_DENIED' && code !== 'STORE_UNAVAILABLE';
}

function objects(findings: readonly VerifyFinding[]): number {
  return new Set(findings.map(({ key }) => key)).size;
}

async function chosen(
  repository: Repository,
  names: readonly string[],
  options: VerifyCliOptions,
): Promise<Verifiable> {
  const where = options.machine === undefined ? {} : { machine: options.machine };
  // All objects: of those that show one state, a restore may read any.
  if (names.length === 0) return { entries: await repository.objects({ ...where, audit: true }) };
  const entries = await Promise.all(names.map((name) => repository.find(name, where)));
  // Where there is no whole chain, verifying says what is missing.
  const chains = entries.filter(isIntact).map((entry) => repository.chain(entry).catch(() => []));
  return { entries, below: (await Promise.all(chains)).flat() };
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
