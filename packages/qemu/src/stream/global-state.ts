const NAME = Buffer.from('globalstate', 'latin1');
/** Instance and version of the section, and the length of what follows: u32 each. */
const BEFORE_TEXT = 12;
const MAX_TEXT_BYTES = 100;

/**
 * The run state in which a migration's source found its guest when it stopped it for the last round, as its
 * device sections carry it (`running`, `paused`); undefined when there is none among them.
 */
export function runStateIn(devices: Uint8Array): string | undefined {
  const bytes = Buffer.from(devices.buffer, devices.byteOffset, devices.byteLength);
  const name = bytes.indexOf(NAME);
  if (name < 0) return undefined;
  const start = name + NAME.length + BEFORE_TEXT;
  const text = bytes.subarray(start, start + MAX_TEXT_BYTES).toString('latin1');
  return /^[a-z-]+(?=\0)/.exec(text)?.[0];
}
