import { isFitdocError } from '@fitdoc/interface';
import {
  copyCheckpoints,
  repairRepository,
  type CheckpointEntry,
  type Repository,
  type CopyReport,
} from '@fitdoc/repository';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { bytes, shortId } from '../output/units.js';
import {
  action,
  forStoring,
  PLAIN_OPTION,
  storeOptions,
  type SecretsUse,
  type Session,
  type StoreOptions,
  type StoringOptions,
} from '../session.js';
import { repaired } from './repair.js';

interface CopyCliOptions extends StoreOptions, StoringOptions {
  readonly to: string;
  readonly machine?: string;
  readonly init?: boolean;
  readonly heal?: boolean;
  readonly dryRun?: boolean;
  readonly asIs?: boolean;
  readonly toPassphraseFile?: string;
  readonly toPassphraseCommand?: string;
  readonly toKeyFile?: string;
}

export function copyCommand(program: Command): void {
  storeOptions(
    program
      .command('copy [checkpoints...]')
      .description('copy checkpoints and all that they build on into another repository, verified on the way')
      .requiredOption('--to <store>', 'the other repository')
      .option('--machine <id>', 'only those of one machine; the machine that names like latest mean')
      .option('--heal', 'read what is there already, too, and replace what is damaged')
      .option('--init', 'make the other repository if it is not there')
      .option(
        '--to-passphrase-file <file>',
        'where the other is encrypted: a file with its passphrase (default: the same secrets)',
      )
      .option(
        '--to-passphrase-command <command>',
        'where the other is encrypted: a command that prints its passphrase',
      )
      .option('--to-key-file <file>', 'where the other is encrypted: a file with its key, or an age identity')
      .option(...PLAIN_OPTION)
      .option(
        '--as-is',
        'between encrypted repositories of one key: pass sealed objects on unread, and so unverified',
      )
      .option('-n, --dry-run', 'say what would be copied and touch nothing'),
  ).action(
    action<[string[]], CopyCliOptions>(async (session, options, names) => {
      const from = await session.repository(options);
      const entries = await chosen(from, names, options.machine);
      const { terminal } = session;
      if (options.dryRun) {
        for (const entry of entries)
          terminal.line(`would copy ${shortId(entry.id)} (${bytes(entry.bytes)}) and its chain`);
        terminal.data({ message_type: 'summary', dry_run: true, checkpoints: entries.map(({ id }) => id) });
        return EXIT.done;
      }
      if (options.heal) await healConfig(session, options.to);
      const to = await session.repositoryAt(
        options.to,
        options.init ?? false,
        secretsForTarget(session, options, from),
      );
      const report = await copyCheckpoints(from, to, entries, {
        signal: session.signal,
        onProgress: terminal.progress,
        heal: options.heal ?? false,
        skipDamaged: true,
        asIs: options.asIs ?? false,
      });
      tell(session, options.to, report);
      return report.damaged.length > 0 ? EXIT.partly : EXIT.done;
    }),
  );
}

/** A repository whose config object is damaged cannot even be opened; where there is none, that is told later. */
async function healConfig(session: Session, location: string): Promise<void> {
  const store = await session.storeAt(location, false).catch(() => undefined);
  if (!store) return;
  const report = await repairRepository(store, { signal: session.signal }).catch((error: unknown) => {
    if (isFitdocError(error, 'REPOSITORY_NOT_FOUND')) return undefined;
    throw error;
  });
  if (report && report.found !== 'whole') session.terminal.note(repaired(report));
}

function tell({ terminal }: Session, to: string, report: CopyReport): void {
  for (const entry of report.healed) terminal.line(`healed ${shortId(entry.id)} ${entry.key}`);
  for (const { entry, error } of report.damaged)
    terminal.line(`LEFT OUT ${shortId(entry.id)}: ${error.message} [${error.code}]`);
  terminal.line(
    `copied ${report.copied.length} checkpoints (${bytes(report.bytes)}) to ${to}; ${report.present.length} were there`,
  );
  terminal.data({
    message_type: 'summary',
    copied: report.copied.map(({ id }) => id),
    present: report.present.map(({ id }) => id),
    healed: report.healed.map(({ id }) => id),
    damaged: report.damaged.map(({ entry: { id, key }, error: { code, message } }) => ({
      ...{ id, key, code, message },
    })),
    bytes: report.bytes,
    as_is: report.asIs,
    tags: report.tags,
  });
}

/**
 * The other repository's own secrets, or where none are named for it, the same. What is encrypted here, or is to be by
 * a secret that is given, is not stored there in the clear unless the operator says so.
 */
function secretsForTarget(session: Session, options: CopyCliOptions, from: Repository): SecretsUse {
  const { toPassphraseFile: file, toPassphraseCommand: command, toKeyFile: key, plain = false } = options;
  const named = session.secretsOf(
    {
      ...(file !== undefined && { passphraseFile: [file] }),
      ...(command !== undefined && { passphraseCommand: command }),
      ...(key !== undefined && { keyFile: [key] }),
    },
    false,
  );
  if (named.areNamed) return forStoring(named, options);
  const isSealed = from.encryption !== undefined || session.secrets.areGiven;
  return { secrets: session.secrets, mustBeEncrypted: !plain && isSealed, orPlain: true };
}

function chosen(
  from: Repository,
  names: readonly string[],
  machine: string | undefined,
): Promise<readonly CheckpointEntry[]> {
  const where = machine === undefined ? {} : { machine };
  if (names.length === 0) return from.checkpoints(where);
  return Promise.all(names.map((name) => from.resolve(name, where)));
}
