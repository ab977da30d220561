import { FitdocError } from '@fitdoc/interface';
import { parseLocation } from './location.js';

/** Machines of an adapter by name: `libvirt:*`, `libvirt:web-*`, `libvirt:qemu:///session#*`. */
export interface MachinePattern {
  readonly scheme: string;
  /** Where the adapter is to look; undefined: where it would for a location that does not say. */
  readonly place?: string;
  /** `*` stands for any letters, `?` for one. */
  readonly name: string;
}

/** Whether a text is a location with a scheme and wildcards in its name. */
export function isMachinePattern(text: string): boolean {
  return /^[a-z][a-z0-9+-]+:/.test(text) && /[*?]/.test(nameIn(text));
}

/** Reads a pattern. LOCATION_INVALID where it has no wildcards. */
export function parseMachinePattern(text: string): MachinePattern {
  if (!isMachinePattern(text))
    throw new FitdocError('LOCATION_INVALID', `"${text}" is no pattern of machines.`, {
      hint: 'Write scheme:NAME with * in the name: libvirt:*, libvirt:web-*, libvirt:qemu:///session#*.',
    });
  const { scheme, rest } = parseLocation(text);
  const cut = rest.lastIndexOf('#');
  return { scheme, name: nameIn(text), ...(cut >= 0 && { place: rest.slice(0, cut) }) };
}

/** Whether a name fits a text with wildcards. */
export function matchesName(name: string, wild: string): boolean {
  const source = wild
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(name);
}

/** What follows the scheme and the place. */
function nameIn(text: string): string {
  const rest = text.slice(text.indexOf(':') + 1);
  return rest.slice(rest.lastIndexOf('#') + 1);
}
