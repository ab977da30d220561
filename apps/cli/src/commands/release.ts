import { FitdocError } from '@fitdoc/interface';
import type { Command } from 'commander';
import { DaemonClient, daemonSocket } from '../daemon/client.js';
import type { DaemonMachine } from '../daemon/model.js';
import { interval } from '../interval.js';
import { hypervisorAt } from '../machine.js';
import { duration } from '../output/units.js';
import { action, commonOptions, type CommonOptions, type Session } from '../session.js';

interface ReleaseOptions extends CommonOptions {
  readonly for?: string;
  readonly end?: boolean;
  readonly forget?: boolean;
  readonly daemon?: string | boolean;
}

export function releaseCommand(program: Command): void {
  commonOptions(
    program
      .command('release <machine>')
      .description('have the daemon let go of a machine for a while: to migrate it, save it or plug devices')
      .option('--for <time>', 'how long, after which the daemon comes back with an increment: 90s, 10m, 2h')
      .option('--end', 'take the machine back now')
      .option(
        '--forget',
        'of a machine by its location (kvm:SOCKET) that nothing is attached to: remove what is left in it for the next checkpoint to go on by (dirty bitmaps of disks)',
      )
      .option('--daemon [socket]', "the daemon's socket (env: FITDOCD_SOCKET; default: /run/fitdocd.sock)"),
  ).action(
    action<[string], ReleaseOptions>(async (session, options, name) => {
      const { terminal, signal } = session;
      if (options.forget) return forget(session, name, options);
      const client = new DaemonClient(daemonSocket(options.daemon), signal);
      const path = `/v1/machines/${encodeURIComponent(name)}`;
      const machine = options.end
        ? await client.post<DaemonMachine>(`${path}/resume`)
        : await client.post<DaemonMachine>(`${path}/release`, { for: `${wanted(options.for)}ms` });
      terminal.data({ message_type: 'summary', machine });
      const { releasedUntil } = machine;
      terminal.line(
        releasedUntil === undefined
          ? `${name}: taken back`
          : `${name}: released for ${duration(Date.parse(releasedUntil) - Date.now())}; nothing is attached`,
      );
    }),
  );
}

async function forget(
  { terminal, signal }: Session,
  location: string,
  options: ReleaseOptions,
): Promise<void> {
  if (options.for !== undefined || options.end || options.daemon !== undefined)
    throw new FitdocError(
      'ARGUMENT_INVALID',
      '--forget asks no daemon: it takes a location and nothing else.',
    );
  const { hypervisor, rest } = await hypervisorAt(location);
  await hypervisor.clean?.(rest, { signal });
  terminal.data({ message_type: 'summary', forgotten: location });
  terminal.line(`${location}: nothing of fitdoc is left in it; the next checkpoint reads its disks in full`);
}

function wanted(text: string | undefined): number {
  const milliseconds = text === undefined ? 0 : interval('--for', text);
  if (milliseconds > 0) return milliseconds;
  throw new FitdocError('ARGUMENT_INVALID', 'For how long is not said.', {
    hint: 'Add --for 10m, or --end to take the machine back.',
  });
}
