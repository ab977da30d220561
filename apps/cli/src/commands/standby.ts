import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import path from 'node:path';
import { hypervisorFor, parseLocation } from '@fitdoc/adapters';
import {
  followMachine,
  promote,
  schemeOf,
  standbyIn,
  type Promoted,
  type StandbyPoint,
  type StandbyStep,
} from '@fitdoc/engine';
import { machineNamed } from '@fitdoc/repository';
import type { Command } from 'commander';
import { interval } from '../interval.js';
import { shellWord } from '../output/shell-word.js';
import { count, milliseconds, shortId, time } from '../output/units.js';
import { secretOptions, secretWords } from '../secrets/index.js';
import { action, commonOptions, type Session, type StoreOptions } from '../session.js';

interface FollowCliOptions extends StoreOptions {
  readonly dir: string;
  readonly every: string;
  readonly once?: boolean;
}

interface PromoteCliOptions extends StoreOptions {
  readonly dir: string;
  readonly asItIs?: boolean;
  readonly again?: boolean;
}

const FOLLOW_HELP = `
DIRECTORY gets a file of the guest's main memory (as large as that, zero pages are holes), its other memory and
its devices, as of the newest checkpoint that can be read; it holds all of the guest's secrets. Ended and started
again, it goes on from there. When the machine's host has failed:

  fitdoc standby promote --dir DIRECTORY

starts the machine from it. Whoever protected the machine until then may no longer write its chain: it is refused
(exit code 11) and can go on as a fork (--fork). Only one standby can be promoted.`;

const PROMOTE_HELP = `
The machine is started as it was started when its checkpoint was taken; options behind -- take the place of its own.
It keeps its name, UUID and addresses: make sure that the old one does not run any more, or is cut off. Its disks are
those that its command names, or, where the checkpoint holds them, images of them in DIRECTORY/disks, written first.
What it writes to memory stays its own; DIRECTORY is its memory for as long as it runs. Protect it from there on with
fitdoc watch: its chain goes on from the state that it began as.`;

export function standbyCommand(program: Command): void {
  const standby = program
    .command('standby')
    .description(
      'keep a machine ready on another host: fitdoc standby REPOSITORY MACHINE --dir DIRECTORY; start it there: promote',
    )
    .addHelpText('after', FOLLOW_HELP);
  followCommand(standby);
  promoteCommand(standby);
  unfenceCommand(standby);
  for (const command of standby.commands) command.copyInheritedSettings(program);
}

function followCommand(standby: Command): void {
  commonOptions(
    secretOptions(
      standby
        .command('follow <repository> <machine>', { isDefault: true })
        .description('keep the newest state of a machine (an id or a name) ready (the default)')
        .requiredOption(
          '--dir <directory>',
          'where it is kept: a directory of its own, on a disk or in memory',
        )
        .option('--every <time>', 'between two looks at the repository', '1s')
        .option('--once', 'end as soon as the newest state is ready'),
    ),
  )
    .addHelpText('after', FOLLOW_HELP)
    .action(
      action<[string, string], FollowCliOptions>(async (session, options, location, name) => {
        const everyMs = interval('--every', options.every);
        const repository = await session.repositoryAt(location, false);
        const machine = await machineNamed(repository, name, { signal: session.signal });
        const place = { location: absolute(location), directory: path.resolve(options.dir) };
        await follow(session, { repository, machine, ...place }, { everyMs, once: options.once === true });
      }, true),
    );
}

async function follow(
  session: Session,
  request: Parameters<typeof followMachine>[1],
  how: { readonly everyMs: number; readonly once: boolean },
): Promise<void> {
  const { terminal, interrupts } = session;
  const signals = { stop: interrupts.stop, signal: interrupts.cancel };
  const following = followMachine(session.engine, request, {
    ...how,
    ...signals,
    onProgress: terminal.progress,
  });
  for await (const event of following) {
    if (event.type === 'trouble') {
      const { code, message, hint } = event.error;
      terminal.data({ message_type: 'trouble', code, message, hint: hint ?? null });
      terminal.note(`not brought forward: ${message} [${code}] It is tried again until it works.`);
    } else if (event.type === 'ready') tellStep(session, event.step);
    else tellCurrent(session, event.point);
  }
}

function tellCurrent({ terminal }: Session, { id, sequence, capturedAtMs }: StandbyPoint): void {
  const captured_at = new Date(capturedAtMs).toISOString();
  terminal.data({ message_type: 'current', id, sequence, captured_at });
  terminal.line(
    `${shortId(id)}  sequence ${sequence} of ${time(capturedAtMs)} is ready already, and is the newest`,
  );
}

function tellStep({ terminal }: Session, { entry, full, objects, pages, ms }: StandbyStep): void {
  const behindMs = Math.max(0, Date.now() - entry.capturedAtMs);
  terminal.data({
    ...{ message_type: 'ready', id: entry.id, sequence: entry.sequence, full, objects, pages },
    ...{ captured_at: new Date(entry.capturedAtMs).toISOString(), ms, behind_ms: behindMs },
  });
  const what = full ? 'all of its memory' : `${count(objects)} increment${objects === 1 ? '' : 's'}`;
  terminal.line(
    `${shortId(entry.id)}  sequence ${entry.sequence} of ${time(entry.capturedAtMs)} is ready: ${what}, ${count(pages)} pages in ${milliseconds(ms)}, ${milliseconds(behindMs)} after it was captured`,
  );
}

function promoteCommand(standby: Command): void {
  commonOptions(
    secretOptions(
      standby
        .command('promote [options...]')
        .description('start the machine of a standby in place of the one that was protected')
        .requiredOption('--dir <directory>', 'of the standby')
        .option('--store <location>', 'the repository, where it is not where it was')
        .option(
          '--as-it-is',
          'start what the directory holds, though the repository may hold something newer',
        )
        .option('--again', 'though another standby was promoted, or this one, and has ended for good'),
    ),
  )
    .addHelpText('after', PROMOTE_HELP)
    .action(
      action<[string[]], PromoteCliOptions>(async (session, options, changed) => {
        const directory = path.resolve(options.dir);
        const journal = await standbyIn(directory);
        const location = options.store === undefined ? journal.repository.location : absolute(options.store);
        const repository = await session.repositoryAt(location, false);
        const scheme = await schemeOf(journal, repository, { signal: session.signal });
        const { hypervisor } = await hypervisorFor(`${scheme}:`);
        const { again = false, asItIs = false } = options;
        const promoted = await promote(
          session.engine,
          { repository, location, hypervisor, directory, changed, again, asItIs },
          { signal: session.signal, onProgress: session.terminal.progress },
        );
        await promoted.launched.release();
        const to = `${hypervisor.scheme}:${promoted.launched.location}`;
        const words = ['fitdoc', 'watch', to, '--store', location, ...secretWords(options)];
        tellPromoted(session, promoted, to, words.map(shellWord).join(' '));
      }),
    );
}

function tellPromoted({ terminal }: Session, promoted: Promoted, to: string, watch: string): void {
  const { point, launched, report, takeover, before, advancedMs, runningMs } = promoted;
  terminal.data({
    ...{ message_type: 'summary', id: point.id, sequence: point.sequence, to, pid: launched.pid },
    ...{ captured_at: new Date(point.capturedAtMs).toISOString(), state: report.state },
    ...{ advanced_ms: Math.round(advancedMs), running_ms: Math.round(runningMs) },
    ...{ takeover: takeover.generation, writers_before: before, notes: report.notes },
    ...{ consoles: launched.consoles, command: launched.command.words, protect: watch },
  });
  terminal.line(
    `promoted: the machine as of ${time(point.capturedAtMs)} (checkpoint ${shortId(point.id)}) runs at ${to}, process ${launched.pid}, after ${milliseconds(advancedMs + runningMs)}`,
  );
  if (terminal.json) return;
  for (const { program, host, location: where } of before)
    terminal.note(
      `note: ${program} on ${host} gave a sign of life within the last minute: ${where} may still run. Its chain is closed to it; stop it, or cut it off.`,
    );
  for (const note of report.notes) terminal.note(note);
  terminal.note(`Protect it: ${watch}`);
}

function unfenceCommand(standby: Command): void {
  commonOptions(
    secretOptions(
      standby
        .command('unfence <repository> <machine>')
        .description(
          'let whoever has the identity of a machine write its chain again, though a standby of it was promoted',
        ),
    ),
  ).action(
    action<[string, string], StoreOptions>(async (session, _options, location, name) => {
      const { terminal, signal } = session;
      const repository = await session.repositoryAt(location, false);
      const machine = await machineNamed(repository, name, { signal });
      const after = await repository.takeovers.latest(machine, { signal });
      const fenced = after?.state !== undefined;
      if (fenced) {
        const token = randomBytes(16).toString('hex');
        await repository.takeovers.take(
          machine,
          { state: undefined, token, place: hostname(), after },
          { signal },
        );
      }
      terminal.data({ message_type: 'summary', machine, unfenced: fenced });
      terminal.line(
        fenced ? `the chain of ${machine} is open to its machine again` : `${machine} was not taken over`,
      );
    }),
  );
}

/** As another directory's command finds it again. */
function absolute(location: string): string {
  const { scheme, rest } = parseLocation(location);
  return scheme === 'fs' ? path.resolve(rest) : location;
}
