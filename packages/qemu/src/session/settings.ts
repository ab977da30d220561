import type { Json } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** What of a migration is on and off. */
export type Capabilities = readonly { readonly capability: string; readonly state: boolean }[];
type Parameters = Readonly<Record<string, Json>>;

/** QEMU's migration settings as they were, to be put back when an attachment ends. */
export interface MigrationSettings {
  readonly capabilities: Capabilities;
  readonly parameters: Parameters;
}

/** Parameters that an attachment changes. */
const CHANGED = ['max-bandwidth', 'downtime-limit', 'x-checkpoint-delay', 'tls-creds', 'mode'] as const;

/** Capabilities that an attachment may turn on; all others it turns off. */
const TURNED_ON = new Set(['events', 'x-colo', 'return-path']);
/** Capabilities that are on in a part of it only. */
const MAY_BE_ON = new Set(['postcopy-ram', 'postcopy-preempt']);
/** Bytes a second, far beyond any: no limit. Nobody else is likely to set just this. */
const MAX_BANDWIDTH = 10_000_000_000;

/**
 * The operator's settings, given those found now and those that an attachment which nobody ended had found: what is
 * as that attachment would have set it was the operator's before; anything else the operator has set since.
 */
export function originalSettings(current: MigrationSettings, before: MigrationSettings): MigrationSettings {
  const capabilities = current.capabilities.map(({ capability, state }) =>
    state === TURNED_ON.has(capability) || MAY_BE_ON.has(capability)
      ? { capability, state: isOn(before.capabilities, capability) }
      : { capability, state },
  );
  if (current.parameters['max-bandwidth'] !== MAX_BANDWIDTH) return { ...current, capabilities };
  const changed = CHANGED.filter((name) => before.parameters[name] !== undefined);
  const parameters = Object.fromEntries(changed.map((name) => [name, before.parameters[name]!]));
  return { capabilities, parameters: { ...current.parameters, ...parameters } };
}

export async function readSettings(qmp: QmpClient, signal?: AbortSignal): Promise<MigrationSettings> {
  const [capabilities, parameters] = await Promise.all([
    readCapabilities(qmp, signal),
    qmp.execute<Parameters>('query-migrate-parameters', {}, { signal }),
  ]);
  return { capabilities, parameters };
}

export async function readCapabilities(qmp: QmpClient, signal?: AbortSignal): Promise<Capabilities> {
  return qmp.execute<Capabilities>('query-migrate-capabilities', {}, { signal });
}

/** Turns every capability off but those named. QEMU refuses one that its build lacks. */
export async function setCapabilities(
  qmp: QmpClient,
  known: Capabilities,
  on: readonly string[],
): Promise<void> {
  const named = known.map(({ capability }) => ({ capability, state: on.includes(capability) }));
  // Off first: QEMU checks the combination, and some of what may be on excludes what is wanted.
  const off = named.filter(({ capability, state }) => !state && isOn(known, capability));
  if (off.length > 0) await qmp.execute('migrate-set-capabilities', { capabilities: off });
  const missing = on.filter((name) => !known.some(({ capability }) => capability === name));
  const wanted = [
    ...named.filter(({ state }) => state),
    ...missing.map((capability) => ({ capability, state: true })),
  ];
  if (wanted.length > 0) await qmp.execute('migrate-set-capabilities', { capabilities: wanted });
}

/** Lets QEMU send as fast as it can. `downtimeLimitMs`: how long the last round of a precopy may take. */
export async function setParameters(qmp: QmpClient, downtimeLimitMs: number, colo: boolean): Promise<void> {
  await qmp.execute('migrate-set-parameters', {
    'max-bandwidth': MAX_BANDWIDTH,
    'downtime-limit': downtimeLimitMs,
    'tls-creds': '',
    ...(colo ? { 'x-checkpoint-delay': 5 } : {}),
  });
}

export async function restoreSettings(qmp: QmpClient, settings: MigrationSettings): Promise<void> {
  await restoreCapabilities(qmp, settings.capabilities);
  const { parameters } = settings;
  const changed = CHANGED.filter((name) => parameters[name] !== undefined);
  await qmp.execute(
    'migrate-set-parameters',
    Object.fromEntries(changed.map((name) => [name, parameters[name]!])),
  );
}

/** Takes back a `setCapabilities` that nothing came after. */
export async function unsetCapabilities(
  qmp: QmpClient,
  before: Capabilities,
  on: readonly string[],
): Promise<void> {
  const now = before.map(({ capability }) => ({ capability, state: on.includes(capability) }));
  const were = before.filter(({ state }) => state).map(({ capability }) => capability);
  await setCapabilities(qmp, now, were);
}

/** Turns capabilities on and off as they were. */
export async function restoreCapabilities(qmp: QmpClient, capabilities: Capabilities): Promise<void> {
  await setCapabilities(
    qmp,
    await readCapabilities(qmp),
    capabilities.filter(({ state }) => state).map(({ capability }) => capability),
  );
}

export function isOn(known: Capabilities, name: string): boolean {
  return known.some(({ capability, state }) => capability === name && state);
}
