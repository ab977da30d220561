import { FitdocError } from '@fitdoc/interface';

export function detached(): FitdocError {
  return new FitdocError('ABORTED', 'The machine was detached.', { hint: 'Attach again to go on.' });
}

/** `capturing`: by a capture; else by a harvest. */
export function occupied(capturing: boolean): FitdocError {
  const why = capturing
    ? 'A capture is under way.'
    : 'The last harvest was neither committed nor rolled back.';
  return new FitdocError('MACHINE_BUSY', why, {
    hint: 'Let one capture end, and settle its harvest, before the next.',
    retryable: true,
  });
}
