import type { DeviceState, RestoreReport } from '@fitdoc/interface';
import { agentChannel } from '../agent/channel.js';
import { thawFileSystems } from '../agent/freeze.js';
import type { Door } from '../door.js';
import { FROZEN_STATE } from '../machine/state-names.js';
import type { QmpClient } from '../qmp/client.js';

/** Thaws a restored guest that was captured with its file systems frozen. */
export interface Thaw {
  /** Call it once the guest runs, or could; only the first call counts. */
  readonly begin: (state: RestoreReport['state']) => void;
  /** What people should know, after `begin`. */
  readonly notes: () => Promise<string[]>;
}

/** Finds the channel to the agent before QEMU is asked to load anything. */
export async function thawOf(
  qmp: QmpClient,
  door: Door,
  state: readonly DeviceState[],
  signal?: AbortSignal,
): Promise<Thaw> {
  if (!state.some(({ name }) => name === FROZEN_STATE)) return NOTHING;
  const channel = door.agentTaken ? undefined : await agentChannel(qmp).catch(() => undefined);
  let done: Promise<string> | undefined;
  return {
    begin: (found) => {
      done ??= found === 'running' ? thaw(channel, signal) : Promise.resolve(FROZEN);
    },
    notes: async () => (done === undefined ? [] : [await done]),
  };
}

const NOTHING: Thaw = { begin: () => undefined, notes: () => Promise.resolve([]) };

const FROZEN =
  'It was captured with its file systems frozen, and they still are: what it writes waits until they are thawed ' +
  '(guest-fsfreeze-thaw of its agent; virsh domfsthaw).';

async function thaw(channel: string | undefined, signal: AbortSignal | undefined): Promise<string> {
  if (channel === undefined) return FROZEN;
  return thawFileSystems(channel, signal).then(
    () => 'Its file systems, frozen when it was captured, were thawed through its agent.',
    (error: unknown) => `${FROZEN} ${error instanceof Error ? error.message : String(error)}`,
  );
}
