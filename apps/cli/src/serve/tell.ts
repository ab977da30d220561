import { isFitdocError } from '@fitdoc/interface';
import type { NbdEvent } from '@fitdoc/nbd';
import type { Terminal } from '../output/terminal.js';
import { bytes } from '../output/units.js';

/** A client that tries again and again is told of so often, milliseconds. */
const TELL_EVERY_MS = 1000;

/** Tells of what happens at a server: lines for people, JSON Lines for programs. */
export function teller(terminal: Terminal): (event: NbdEvent) => void {
  const told = new Map<string, number>();
  return (event) => {
    if (event.type === 'failed') {
      const { client, export: disk, offset, length, error } = event;
      const code = isFitdocError(error) ? error.code : undefined;
      const message = error instanceof Error ? error.message : String(error);
      const [last, now] = [told.get(message), performance.now()];
      if (last !== undefined && now - last < TELL_EVERY_MS) return;
      told.set(message, now);
      const which = `${disk} at ${offset}: ${message}${code === undefined ? '' : ` [${code}]`}`;
      if (terminal.json)
        terminal.data({ message_type: 'failed', client, disk, offset, length, code, message });
      else terminal.note(`client ${client} got an error for ${which}`);
      return;
    }
    if (terminal.json) {
      const { type, ...rest } = event;
      const { export: disk, ...more } = { export: undefined, ...rest };
      terminal.data({ message_type: type, ...more, ...(disk !== undefined && { disk }) });
    } else terminal.note(text(event));
  };
}

function text(event: Exclude<NbdEvent, { type: 'failed' }>): string {
  const who = `client ${event.client}`;
  switch (event.type) {
    case 'connected':
      return `${who} connected`;
    case 'opened':
      return `${who} reads ${event.export}`;
    case 'refused':
      return `${who} was turned away: ${event.reason}`;
    case 'closed': {
      const read = event.export === undefined ? '' : `, having read ${bytes(event.bytes)} of ${event.export}`;
      return `${who} is gone${read}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    }
  }
}
