import type { RefObject } from 'preact';
import { start } from '../state/actions.js';

interface Props {
  readonly dialog: RefObject<HTMLDialogElement | null>;
  readonly machine: string;
}

const shares = [
  {
    value: '0',
    label: 'Structure',
    detail: 'Every checkpoint is there, whole, and follows from its parent. Fast.',
  },
  {
    value: '0.1',
    label: 'A tenth of the data',
    detail: 'Also reads and decodes pages, drawn anew each time.',
  },
  { value: '1', label: 'All data', detail: 'Reads everything that is stored. May take long.' },
];

export function VerifyDialog({ dialog, machine }: Props) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    dialog.current?.close();
    void start(machine, 'verify', { data: Number(new FormData(form).get('share')) });
  };
  return (
    <dialog ref={dialog} aria-labelledby="verify-title">
      <form method="dialog" onSubmit={submit}>
        <h2 id="verify-title">Verify the checkpoints of {machine}</h2>
        <fieldset>
          <legend>What is read</legend>
          {shares.map(({ value, label, detail }) => (
            <label key={value} class="choice">
              <input type="radio" name="share" value={value} defaultChecked={value === '0.1'} />
              <span>
                <span class="choice-label">{label}</span>
                <span class="choice-detail">{detail}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div class="dialog-actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Verify
          </button>
        </div>
      </form>
    </dialog>
  );
}
