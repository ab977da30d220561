import { useRef } from 'preact/hooks';
import { promote } from '../state/actions.js';
import { sinceSeen, type SeenStandby } from '../state/state.js';
import { standbyHealth, standbyPlace } from '../words/standing-by.js';

/** Machines of other hosts that are kept ready here. */
export function StandbyList({ standbys }: { readonly standbys: readonly SeenStandby[] }) {
  return (
    <section class="panel jobs" aria-labelledby="standbys-title">
      <h2 id="standbys-title">Standbys</h2>
      <ul>
        {standbys.map((standby) => (
          <StandbyItem key={standby.name} standby={standby} />
        ))}
      </ul>
    </section>
  );
}

function StandbyItem({ standby }: { readonly standby: SeenStandby }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { tone, label, meaning } = standbyHealth(standby);
  const { name, state, lastProblem } = standby;
  return (
    <li class="job" data-standby={name} data-state={state}>
      <p class="job-title">
        {name}{' '}
        <span class={`tone-${tone}`} title={meaning}>
          {label}
        </span>
      </p>
      <div class="job-state">
        <p>{standbyPlace(standby, sinceSeen(standby))}</p>
        {lastProblem && <p class="job-note">{lastProblem.message}</p>}
      </div>
      {state === 'ready' && (
        <button
          type="button"
          class="small"
          onClick={() => dialog.current?.showModal()}
          aria-label={`Promote: ${name}`}
        >
          Promote…
        </button>
      )}
      <PromoteDialog dialog={dialog} standby={standby} />
    </li>
  );
}

interface DialogProps {
  readonly dialog: { readonly current: HTMLDialogElement | null };
  readonly standby: SeenStandby;
}

function PromoteDialog({ dialog, standby: { name, machine, directory } }: DialogProps) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    dialog.current?.close();
    void promote(name);
  };
  const title = `promote-${name}`;
  return (
    <dialog ref={dialog} aria-labelledby={title}>
      <form method="dialog" onSubmit={submit}>
        <h2 id={title}>Start {machine} here</h2>
        <p>
          It keeps its name, UUID and addresses: make sure that the old one does not run any more, or is cut
          off. Whoever protected it may no longer write its chain. {directory} is its memory for as long as it
          runs.
        </p>
        <div class="dialog-actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Promote
          </button>
        </div>
      </form>
    </dialog>
  );
}
