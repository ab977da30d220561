import { timeOf, type Connection, type SeenMachine } from '../state/state.js';
import { counted } from '../words/format.js';
import { needsAttention } from '../words/health.js';

interface Props {
  readonly connection: Connection;
  readonly machines: readonly SeenMachine[] | undefined;
}

const words = { connecting: 'Connecting', live: 'Live', lost: 'Disconnected' } as const;

export function Header({ connection, machines }: Props) {
  const troubled = machines?.filter((machine) => needsAttention(machine, timeOf(machine))).length ?? 0;
  return (
    <header class="top">
      <h1>
        <img src="./favicon.svg" alt="" width="20" height="20" />
        fitdoc
      </h1>
      {machines && machines.length > 0 && (
        <p class="summary">
          {counted(machines.length, 'machine')}
          {troubled > 0 ? (
            <strong class="tone-bad">
              {troubled === 1 ? '1 needs attention' : `${troubled} need attention`}
            </strong>
          ) : (
            <span class="tone-good">nothing needs attention</span>
          )}
        </p>
      )}
      <p class={`connection ${connection.state}`} role="status">
        <span class="dot" aria-hidden="true" />
        {words[connection.state]}
      </p>
    </header>
  );
}
