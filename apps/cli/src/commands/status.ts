import type { Command } from 'commander';
import { historyLines } from '../daemon/history-lines.js';
import { DaemonClient, daemonSocket } from '../daemon/client.js';
import type { DaemonMachine } from '../daemon/model.js';
import { standbyLines, standbysOf } from '../daemon/standby-lines.js';
import { bytes, count, duration, milliseconds, shortId } from '../output/units.js';
import { action, commonOptions, type CommonOptions } from '../session.js';

interface StatusOptions extends CommonOptions {
  readonly daemon?: string | boolean;
}

const TITLES = [
  'machine',
  'state',
  'last',
  'checkpoint',
  'pause',
  'dirty',
  'stored',
  'points',
  'reads',
  'failed',
  'missed',
];

export function statusCommand(program: Command): void {
  commonOptions(
    program
      .command('status [machine]')
      .description('what the daemon protects, and how well')
      .option('--daemon [socket]', "the daemon's socket (env: FITDOCD_SOCKET; default: /run/fitdocd.sock)"),
  ).action(
    action<[string | undefined], StatusOptions>(async (session, options, name) => {
      const client = new DaemonClient(daemonSocket(options.daemon), session.signal);
      const machines =
        name === undefined
          ? await client.get<DaemonMachine[]>('/v1/machines')
          : [await client.get<DaemonMachine>(`/v1/machines/${encodeURIComponent(name)}`)];
      const { terminal } = session;
      const standbys = name === undefined ? await standbysOf(client) : [];
      terminal.data({ message_type: 'summary', machines, ...(name === undefined && { standbys }) });
      for (const line of aligned([TITLES, ...machines.map(cells)])) terminal.line(line);
      for (const { name: machine, lastProblem, lastDamage, standing, releasedUntil } of machines) {
        if (lastDamage) terminal.line(`${machine}: went on without a lost object: ${lastDamage.message}`);
        if (standing) terminal.line(`${machine}: ${standing.message} ${standing.hint ?? ''}`.trimEnd());
        if (releasedUntil !== undefined)
          terminal.line(`${machine}: released for ${remaining(releasedUntil)} more`);
        if (!lastProblem) continue;
        terminal.line(`${machine}: ${lastProblem.message} [${lastProblem.code}]`);
        if (lastProblem.hint !== undefined) terminal.line(`  ${lastProblem.hint}`);
      }
      const history = name === undefined ? undefined : machines[0]?.history;
      if (history) for (const line of historyLines(history)) terminal.line(line);
      for (const line of standbyLines(standbys)) terminal.line(line);
      if (machines.length === 0) terminal.line('The daemon protects no machine.');
    }),
  );
}

function remaining(until: string): string {
  return duration(Math.max(0, Date.parse(until) - Date.now()));
}

function cells({
  name,
  state,
  lastCheckpoint,
  successAgeMs,
  restorePoints,
  history,
  failures,
  missed,
}: DaemonMachine): string[] {
  const last = lastCheckpoint
    ? [
        `${duration(successAgeMs ?? Math.max(0, Date.now() - Date.parse(lastCheckpoint.capturedAt)))} ago`,
        shortId(lastCheckpoint.id),
        milliseconds(lastCheckpoint.pauseMs),
        `${count(lastCheckpoint.dirtyPages)} p`,
        bytes(lastCheckpoint.storedBytes),
      ]
    : ['never', '-', '-', '-', '-'];
  const reads = history?.pathObjects;
  const points = [restorePoints, reads].map((value) => (value === undefined ? '-' : count(value)));
  return [name, state, ...last, ...points, count(failures), count(missed)];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = TITLES.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
