import type { QemuVersion, QmpClient } from '../qmp/client.js';
import type { MigrationSettings } from './settings.js';

/**
 * What keeps others from beginning a migration while COLO runs, which kills a QEMU that does not refuse it by itself.
 * `capabilities`: a combination in which QEMU refuses every change of its capabilities that leaves one of the two
 * out, as management tools make it before they migrate or save. `mode`: with it QEMU refuses `migrate` itself.
 */
export type Shield = 'capabilities' | 'mode' | undefined;

export const SHIELD_CAPABILITIES = ['postcopy-ram', 'postcopy-preempt'] as const;

/** The shield that this QEMU needs and has, and what people should know of what it does not keep off. */
export function chooseShield(
  { major, minor, text }: QemuVersion,
  { capabilities, parameters }: MigrationSettings,
): { readonly shield: Shield; readonly limits: readonly string[] } {
  const version = major * 100 + minor;
  // From 9.2 on QEMU counts COLO among the migrations that are under way.
  if (version >= 902) return { shield: undefined, limits: [] };
  if (version >= 802 && parameters['mode'] !== undefined) return { shield: 'mode', limits: [] };
  const names = capabilities.map(({ capability }) => capability);
  if (!SHIELD_CAPABILITIES.every((name) => names.includes(name)))
    return {
      shield: undefined,
      limits: [`A migration or save by others while we are attached kills QEMU ${text}: detach first.`],
    };
  return {
    shield: 'capabilities',
    limits: [
      `A "migrate" that others send to QEMU ${text} while we are attached kills it, or leaves it unable to migrate: detach first. ` +
        'What sets capabilities before it, as libvirt does, is refused and does no harm, but for "virsh migrate --postcopy".',
    ],
  };
}

/** Puts the shield up. Requires that COLO has begun: QEMU begins no COLO under it. */
export async function raise(qmp: QmpClient, shield: Shield): Promise<void> {
  if (shield === 'mode') await qmp.execute('migrate-set-parameters', { mode: 'cpr-reboot' });
  if (shield === 'capabilities') await set(qmp, true);
}

/** Takes it down. */
export async function lower(qmp: QmpClient, shield: Shield): Promise<void> {
  if (shield === 'mode') await qmp.execute('migrate-set-parameters', { mode: 'normal' });
  if (shield === 'capabilities') await set(qmp, false);
}

async function set(qmp: QmpClient, state: boolean): Promise<void> {
  const capabilities = SHIELD_CAPABILITIES.map((capability) => ({ capability, state }));
  await qmp.execute('migrate-set-capabilities', { capabilities });
}
