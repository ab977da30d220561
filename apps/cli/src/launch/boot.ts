import { writeFile } from 'node:fs/promises';
import { hypervisorFor } from '@fitdoc/adapters';
import { bootVerify, guestPort, type BootProbes, type BootReport } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Command } from 'commander';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { EXIT } from '../exit-codes.js';
import { interval } from '../interval.js';
import { milliseconds, shortId, time } from '../output/units.js';
import type { Session } from '../session.js';

export interface BootOptions {
  readonly boot?: boolean;
  readonly for?: string;
  readonly within?: string;
  readonly expectConsole?: string;
  readonly expectAgent?: boolean;
  readonly expectTcp?: string;
  readonly expectBanner?: string;
  readonly screenshot?: string;
  readonly dir?: string;
  readonly keep?: boolean;
}

export function bootOptions(command: Command): Command {
  return command
    .option(
      '--boot',
      'start the machine of a checkpoint (default: latest) apart from everything, and see that it runs; options for it behind --',
    )
    .option('--for <time>', 'with --boot: how long it is watched (10s)')
    .option('--expect-console <pattern>', 'with --boot: what its console has to show')
    .option('--expect-agent', 'with --boot: its guest agent has to answer')
    .option(
      '--expect-tcp <port>',
      'with --boot: a port that has to take a connection; where the network was not QEMU\'s own "user", with the address in the guest: 192.168.1.7/24:22',
    )
    .option('--expect-banner <pattern>', 'with --expect-tcp: what it has to say first')
    .option('--within <time>', 'with --boot: how long it may take to do so (60s)')
    .option('--screenshot <file>', 'with --boot: write a picture of its screen there, as PNG')
    .option('--dir <folder>', 'with --boot: where its overlays are until it has ended')
    .option('--no-keep', 'with --boot: do not keep the result in the repository');
}

/** ARGUMENT_INVALID for options that need --boot, or another. */
export function checkBootOptions(options: BootOptions): void {
  const { for: run, within, expectConsole, expectAgent, expectTcp, expectBanner, screenshot } = options;
  const given = { '--for': run, '--within': within, '--expect-console': expectConsole };
  const more = { ...given, '--expect-agent': expectAgent, '--expect-tcp': expectTcp };
  const all = { ...more, '--expect-banner': expectBanner, '--screenshot': screenshot };
  const [lonely] = Object.entries(all).find(([, value]) => value !== undefined) ?? [];
  if (lonely !== undefined && options.boot !== true) throw needs(lonely, '--boot');
  if (expectBanner !== undefined && expectTcp === undefined) throw needs('--expect-banner', '--expect-tcp');
}

function needs(option: string, other: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', `${option} needs ${other}.`, { hint: `Add ${other}.` });
}

/** Starts a checkpoint's machine apart from everything and says how it did. Gives the exit code. */
export async function bootCheckpoint(
  session: Session,
  repository: Repository,
  entry: CheckpointEntry,
  options: BootOptions,
  changed: readonly string[],
): Promise<number> {
  const { terminal, signal } = session;
  const { hypervisor } = await hypervisorFor(`${entry.scheme}:`);
  const probes = probesOf(options);
  const { report, picture, notes } = await bootVerify(
    session.engine,
    {
      ...{ repository, entry, hypervisor, probes, changed, keep: options.keep !== false },
      ...(options.dir !== undefined && { directory: options.dir }),
    },
    { signal, onProgress: terminal.progress },
  );
  if (options.screenshot !== undefined && picture) await writeFile(options.screenshot, picture);
  if (options.screenshot !== undefined && !picture)
    terminal.note('note: there is no screen to take a picture of');
  terminal.data({ message_type: 'summary', id: entry.id, ...bootMessage(report) });
  terminal.line(`${shortId(entry.id)} ${bootText(report)}`);
  if (!terminal.json) for (const note of notes) terminal.note(note);
  return report.verdict === 'runs' ? EXIT.done : EXIT.verificationFailed;
}

function probesOf({
  expectConsole,
  expectAgent,
  expectTcp,
  expectBanner,
  ...options
}: BootOptions): BootProbes {
  const banner = expectBanner === undefined ? {} : { banner: pattern('--expect-banner', expectBanner) };
  return {
    seconds: interval('--for', options.for ?? '10s') / 1000,
    withinSeconds: interval('--within', options.within ?? '60s') / 1000,
    ...(expectConsole !== undefined && { console: pattern('--expect-console', expectConsole) }),
    ...(expectAgent === true && { agent: true }),
    ...(expectTcp !== undefined && { tcp: { ...guestPort(expectTcp), ...banner } }),
  };
}

function pattern(option: string, text: string): RegExp {
  try {
    return new RegExp(text, 'm');
  } catch (cause) {
    throw new FitdocError('ARGUMENT_INVALID', `${option} takes a regular expression, not ${text}.`, {
      cause,
    });
  }
}

/** A report as JSON; the field names are part of the interface. */
export function bootMessage(report: BootReport): Record<string, unknown> {
  return {
    verdict: report.verdict,
    about: report.about,
    verified_at: new Date(report.verifiedAtMs).toISOString(),
    restored_ms: report.restoredMs ?? null,
    watched_ms: report.watchedMs ?? null,
    cpus: report.cpus.map(({ cpu, ranMs, moved }) => ({ cpu, ran_ms: ranMs ?? null, moved })),
    probes: report.probes,
    screenshot: report.screenshot,
  };
}

/** A report in a line. */
export function bootText(report: BootReport): string {
  const restored = report.restoredMs === undefined ? '' : `, restored in ${milliseconds(report.restoredMs)}`;
  const probes = report.probes.map(({ probe, right }) => `${probe} ${right ? 'right' : 'wrong'}`);
  return `${report.verdict === 'runs' ? 'runs' : report.verdict.toUpperCase()}: ${[`${report.about}${restored}`, ...probes].join(', ')} (${time(report.verifiedAtMs)})`;
}
