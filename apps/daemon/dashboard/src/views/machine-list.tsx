import type { MachineStatus } from '../../../src/model.js';
import { linkTo } from '../state/route.js';
import { ago, exactTime } from '../words/format.js';
import { healthOf } from '../words/health.js';

interface Props {
  readonly machines: readonly MachineStatus[] | undefined;
  readonly shown: string | undefined;
  readonly now: number;
}

export function MachineList({ machines, shown, now }: Props) {
  return (
    <nav class="panel machines" aria-labelledby="machines-title">
      <h2 id="machines-title">Machines</h2>
      <ul>
        {machines?.map((machine) => (
          <li key={machine.name}>
            <a
              href={linkTo({ machine: machine.name })}
              aria-current={machine.name === shown ? 'page' : undefined}
              class="machine-link"
            >
              <MachineLine machine={machine} now={now} />
            </a>
          </li>
        ))}
      </ul>
      {!machines && <p class="quiet">Loading</p>}
    </nav>
  );
}

function MachineLine({ machine, now }: { readonly machine: MachineStatus; readonly now: number }) {
  const { tone, label, meaning } = healthOf(machine, now);
  const attached = machine.machineId !== undefined;
  return (
    <>
      <span class={`dot tone-${tone} ${machine.state === 'capturing' ? 'beating' : ''}`} aria-hidden="true" />
      <span class="machine-name">{machine.name}</span>
      <span class={`machine-state tone-${tone}`} title={meaning}>
        {label}
      </span>
      <span class="machine-ages">
        <Age
          what="Checkpoint"
          at={machine.lastCheckpoint?.capturedAt}
          never={attached ? 'none yet' : 'unknown'}
          now={now}
        />
        <Age what="Verified" at={machine.lastVerifiedAt} never="never" now={now} />
      </span>
    </>
  );
}

interface AgeProps {
  readonly what: string;
  readonly at: string | undefined;
  readonly never: string;
  readonly now: number;
}

function Age({ what, at, never, now }: AgeProps) {
  return (
    <span title={at && exactTime(at)}>
      {what} {at ? ago(at, now) : never}
    </span>
  );
}
