import { linkTo } from '../state/route.js';
import { sinceSeen, timeOf, type SeenMachine } from '../state/state.js';
import { age, ago, exactTime } from '../words/format.js';
import { healthOf } from '../words/health.js';

interface Props {
  readonly machines: readonly SeenMachine[] | undefined;
  readonly shown: string | undefined;
}

export function MachineList({ machines, shown }: Props) {
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
              <MachineLine machine={machine} />
            </a>
          </li>
        ))}
      </ul>
      {!machines && <p class="quiet">Loading</p>}
    </nav>
  );
}

function MachineLine({ machine }: { readonly machine: SeenMachine }) {
  const now = timeOf(machine);
  const { tone, label, meaning } = healthOf(machine, now);
  const attached = machine.machineId !== undefined;
  const { lastCheckpoint, lastVerifiedAt } = machine;
  return (
    <>
      <span class={`dot tone-${tone} ${machine.state === 'capturing' ? 'beating' : ''}`} aria-hidden="true" />
      <span class="machine-name">{machine.name}</span>
      <span class={`machine-state tone-${tone}`} title={meaning}>
        {label}
      </span>
      <span class="machine-ages">
        <span title={lastCheckpoint && exactTime(lastCheckpoint.capturedAt)}>
          Checkpoint{' '}
          {lastCheckpoint
            ? age(machine.successAgeMs + sinceSeen(machine))
            : attached
              ? 'none yet'
              : 'unknown'}
        </span>
        <span title={lastVerifiedAt && exactTime(lastVerifiedAt)}>
          Verified {lastVerifiedAt ? ago(lastVerifiedAt, now) : 'never'}
        </span>
      </span>
    </>
  );
}
