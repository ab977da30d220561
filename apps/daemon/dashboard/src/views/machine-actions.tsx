import { useRef, useState } from 'preact/hooks';
import type { MachineStatus } from '../../../src/model.js';
import { release, setSuspended, start } from '../state/actions.js';
import { VerifyDialog } from './verify-dialog.js';

const RELEASE_FOR = '10m';

export function MachineActions({ machine }: { readonly machine: MachineStatus }) {
  const [busy, setBusy] = useState(false);
  const verify = useRef<HTMLDialogElement>(null);
  const run = (action: Promise<unknown>): void => {
    setBusy(true);
    void action.finally(() => setBusy(false));
  };
  const { name, state } = machine;
  const suspended = state === 'suspended';
  const released = state === 'released';
  const unattached = state === 'waiting' || state === 'stuck' || released;
  return (
    <div class="actions" role="group" aria-label={`Actions on ${name}`}>
      <button type="button" class="primary" disabled={busy} onClick={() => run(start(name, 'checkpoint'))}>
        Checkpoint now
      </button>
      {suspended || unattached ? (
        <button
          type="button"
          disabled={busy}
          onClick={() => run(setSuspended(name, false))}
          title={
            suspended
              ? 'Take scheduled checkpoints again'
              : released
                ? 'End the release: attach again, with an increment'
                : 'Do not wait for the next try'
          }
        >
          {suspended ? 'Resume' : released ? 'Take back' : 'Try now'}
        </button>
      ) : (
        <button
          type="button"
          disabled={busy}
          onClick={() => run(setSuspended(name, true))}
          title="Take no scheduled checkpoints; the guest runs on"
        >
          Suspend
        </button>
      )}
      {!released && (
        <button
          type="button"
          disabled={busy}
          onClick={() => run(release(name, RELEASE_FOR))}
          title="Detach, so that you can migrate it, save it or plug devices; it is taken back by itself"
        >
          Release for 10 min
        </button>
      )}
      <button type="button" onClick={() => verify.current?.showModal()}>
        Verify…
      </button>
      <VerifyDialog dialog={verify} machine={name} />
    </div>
  );
}
