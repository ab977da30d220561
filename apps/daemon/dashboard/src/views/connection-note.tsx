import { retryNow } from '../state/live.js';
import type { Connection } from '../state/state.js';
import { Note } from './note.js';

/** Shown while what the page shows may be old. */
export function ConnectionNote({ connection }: { readonly connection: Connection }) {
  if (connection.state !== 'lost') return null;
  const { code, message, hint } = connection.problem;
  const unauthorized = code === 'UNAUTHORIZED';
  return (
    <div class="band">
      <Note
        tone="bad"
        title={unauthorized ? message : `${message} What is shown below may be out of date.`}
        hint={hint}
      >
        {unauthorized ? (
          <button type="button" onClick={() => location.reload()}>
            Load the page again
          </button>
        ) : (
          <button type="button" onClick={retryNow}>
            Try now
          </button>
        )}
      </Note>
    </div>
  );
}
