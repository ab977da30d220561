import { useEffect } from 'preact/hooks';
import { useNow } from './state/clock.js';
import { useRoute } from './state/route.js';
import { useStore } from './state/store.js';
import { showTimeline } from './state/timeline.js';
import { ConnectionNote } from './views/connection-note.js';
import { Header } from './views/header.js';
import { JobList } from './views/job-list.js';
import { MachineList } from './views/machine-list.js';
import { StandbyList } from './views/standby-list.js';
import { MachineView } from './views/machine-view.js';
import { NoMachines, UnknownMachine } from './views/empty.js';

export function App() {
  const state = useStore();
  const route = useRoute();
  const now = useNow();
  const { machines, standbys, jobs, connection, timeline } = state;
  const machine = route.machine ? machines?.find(({ name }) => name === route.machine) : machines?.[0];
  useEffect(() => showTimeline(machine?.name), [machine?.name]);
  useEffect(() => {
    document.title = machine ? `${machine.name} – fitdoc` : 'fitdoc';
  }, [machine?.name]);
  return (
    <>
      <a class="skip" href="#content" onClick={focusContent}>
        Skip to the machine
      </a>
      <Header connection={connection} machines={machines} />
      <ConnectionNote connection={connection} />
      {machines && machines.length === 0 && standbys.length === 0 && !route.machine ? (
        <NoMachines />
      ) : (
        <div class={`panes ${connection.state === 'lost' ? 'stale' : ''}`}>
          <div class="side">
            <MachineList machines={machines} shown={machine?.name} />
            {standbys.length > 0 && <StandbyList standbys={standbys} />}
            {machines && <JobList jobs={jobs} now={now} />}
          </div>
          <main id="content" tabIndex={-1}>
            {machine && (
              <MachineView
                key={machine.name}
                machine={machine}
                timeline={timeline?.machine === machine.name ? timeline : undefined}
                checkpoint={route.checkpoint}
                notice={state.notice}
              />
            )}
            {!machine && machines && route.machine && <UnknownMachine name={route.machine} />}
            {!machines && <div class="placeholder" aria-hidden="true" />}
          </main>
        </div>
      )}
    </>
  );
}

/** The address belongs to the route: a jump within the page must not change it. */
function focusContent(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#content')?.focus();
}
