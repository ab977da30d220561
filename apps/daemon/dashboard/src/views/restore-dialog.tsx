import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { MachineStatus } from '../../../src/model.js';
import { start } from '../state/actions.js';
import type { TimelinePoint } from '../state/state.js';
import { count, exactTime, shortId } from '../words/format.js';
import { expectationOf, sameTarget, suggestedTarget } from '../words/restore-target.js';

interface Props {
  readonly dialog: RefObject<HTMLDialogElement | null>;
  readonly machine: MachineStatus;
  readonly point: TimelinePoint;
}

/** Where to, and a second look before it happens. */
export function RestoreDialog({ dialog, machine, point }: Props) {
  const [to, setTo] = useState('');
  const [confirmed, setConfirmed] = useState(false);
  useEffect(() => {
    setTo(suggestedTarget(machine));
    setConfirmed(false);
  }, [machine.name, machine.location, point.id]);
  const replaces = sameTarget(to, machine.location);
  const valid = /^[a-z][a-z0-9+]+:.+/.test(to.trim());
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (!valid || !confirmed) return;
    dialog.current?.close();
    setConfirmed(false);
    void start(machine.name, 'restore', { checkpoint: point.id, to: to.trim() });
  };
  return (
    <dialog ref={dialog} aria-labelledby="restore-title">
      <form method="dialog" onSubmit={submit}>
        <h2 id="restore-title">
          Restore {machine.name} from #{count(point.sequence)}
        </h2>
        <p>
          As it was at <strong>{exactTime(point.capturedAt)}</strong> (
          <code title={point.id}>{shortId(point.id)}</code>).
        </p>
        <label class="field">
          <span>To</span>
          <input
            name="to"
            value={to}
            required
            spellcheck={false}
            autocomplete="off"
            autocapitalize="off"
            aria-describedby="restore-hint"
            onInput={(event) => setTo(event.currentTarget.value)}
          />
        </label>
        <p id="restore-hint" class="quiet">
          {expectationOf(to)}
        </p>
        <label class="choice">
          <input
            type="checkbox"
            name="confirmed"
            checked={confirmed}
            onChange={(event) => setConfirmed(event.currentTarget.checked)}
          />
          <span class={replaces ? 'tone-bad' : ''}>
            {replaces
              ? 'This is where the machine itself runs: replace it. What it did since then is lost.'
              : 'The guest starts there with its old clock and connections; I have made sure that both may run.'}
          </span>
        </label>
        <div class="dialog-actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class={replaces ? 'danger' : 'primary'} disabled={!valid || !confirmed}>
            Restore
          </button>
        </div>
      </form>
    </dialog>
  );
}
