import { realpathSync } from 'node:fs';
import path from 'node:path';
import { parseLocation } from '@fitdoc/adapters';
import type { Configuration, MachineSettings } from './schema.js';

/** Two machines that have, or may have, one identity in one repository. */
export interface Pair {
  /** Names in the configuration. */
  readonly machines: readonly [string, string];
  /** True where they cannot differ; false where the guests themselves may say who they are. */
  readonly certain: boolean;
  readonly message: string;
}

/**
 * The pairs of machines of a configuration that would write one chain: the same guest twice, the same machine-id, or
 * names that become the same identity. Repositories are told apart by where they are, however that is spelled.
 */
export function sameIdentities({ machines, repositories }: Configuration): Pair[] {
  const all = Object.entries(machines).map(([name, settings]) => ({
    name,
    settings,
    place: placeOf(repositories[settings.repository]?.location ?? ''),
  }));
  const pairs: Pair[] = [];
  for (const [index, one] of all.entries()) {
    for (const other of all.slice(index + 1)) {
      if (one.place !== other.place) continue;
      const found = compare(one.settings, other.settings);
      if (found) pairs.push({ machines: [one.name, other.name], ...found });
    }
  }
  return pairs;
}

function compare(one: MachineSettings, other: MachineSettings): Omit<Pair, 'machines'> | undefined {
  const same = guestOf(one.location) === guestOf(other.location);
  const [first, second] = [identityOf(one), identityOf(other)];
  if (same && first.id === second.id) return { certain: true, message: 'is the same guest' };
  if (first.id !== second.id) return undefined;
  const certain = first.certain && second.certain;
  return {
    certain,
    message: certain
      ? `has the same identity, ${first.id}`
      : `has the same identity, ${first.id}, unless the guests have names or UUIDs of their own`,
  };
}

interface Identity {
  readonly id: string;
  readonly certain: boolean;
}

/** What the adapter takes for the machine's identity, as far as the configuration tells. */
function identityOf({ location, 'machine-id': machineId }: MachineSettings): Identity {
  if (machineId !== undefined) return { id: machineId, certain: true };
  const { scheme, rest } = parseLocation(location);
  const [place = rest] = rest.split('?');
  const last = place.slice(place.lastIndexOf('/') + 1).replace(/\.(sock|qmp|socket)$/, '');
  return {
    id: last.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64),
    certain: scheme === 'mock' && !place.includes(':'),
  };
}

/** The guest behind a location, spelled in one way. */
function guestOf(location: string): string {
  const { scheme, rest } = parseLocation(location);
  const [place = rest] = rest.split('?');
  return `${scheme}:${place.startsWith('/') || place.startsWith('.') ? realPath(place) : place}`;
}

function placeOf(location: string): string {
  const { scheme, rest } = parseLocation(location || '.');
  return scheme === 'fs' ? `fs:${realPath(rest)}` : `${scheme}:${rest.replace(/\/+$/, '')}`;
}

/** Without links as far as the path is there. */
function realPath(file: string): string {
  const full = path.resolve(file);
  try {
    return realpathSync(full);
  } catch {
    const parent = path.dirname(full);
    return parent === full ? full : path.join(realPath(parent), path.basename(full));
  }
}
