import { useRef, useState } from 'preact/hooks';
import type { MachineStatus } from '../../../src/model.js';
import { setSuspended, start } from '../state/actions.js';
import { VerifyDialog } from './verify-dialog.js';

export function MachineActions({ machine }: { readonly machine: MachineStatus }) {
  const [busy, setBusy] = useState(false);
  const verify = useRef<HTMLDialogElement>(null);
  const run = (action: Promise<unknown>): void => {
    setBusy(true);
    void action.finally(() => setBusy(false));
  };
  const { name, state } = machine;
  const suspended = state === 'suspended';
  const unattached = state === 'waiting' || state === 'stuck';
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
          title={suspended ? 'Take scheduled checkpoints again' : 'Do not wait for the next try'}
        >
          {suspended ? 'Resume' : 'Try now'}
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
      <button type="button" onClick={() => verify.current?.showModal()}>
        Verify…
      </button>
      <VerifyDialog dialog={verify} machine={name} />
    </div>
  );
}
