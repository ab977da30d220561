import type { AdapterRegistry } from '@fitdoc/adapters';
import type { Engine, ProtectOptions, Protection } from '@fitdoc/engine';
import type { Machine } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import type { MachineSettings } from '../config/schema.js';
import type { Damage, PauseCounts } from '../model.js';
import { withoutSecrets } from './without-secrets.js';
import { budgetOf, pauseTally } from './pause-budget.js';
import { damageOf } from './problem.js';

export interface AttachContext {
  /** The machine's in the configuration. */
  readonly name: string;
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  /** Opens the machine's repository, or gives the one that is open. */
  readonly repository: () => Promise<Repository>;
  /** Names this daemon among those that may write the machine's chain, and what it was before a restart. */
  readonly protector: string;
}

/** A machine that is attached, and the protection that takes its checkpoints. */
export interface Attachment {
  readonly machine: Machine;
  readonly protection: Protection;
  /** What became of the pauses' budget since the attach. */
  readonly pauses: PauseCounts;
}

/**
 * Attaches to the machine that the settings name and loads what its chain ends with. On failure nothing stays
 * attached. `onDamage` is told of objects that are lost, without which protection goes on, also later.
 */
export async function attachTo(
  settings: MachineSettings,
  context: AttachContext,
  signal: AbortSignal,
  onDamage: (damage: Damage) => void,
): Promise<Attachment> {
  const { engine, registry } = context;
  const repository = await context.repository();
  const { hypervisor, rest } = await registry.hypervisorFor(settings.location);
  const { disks, every, config, compressor, level } = settings;
  const machineId = settings['machine-id'];
  const machine = await hypervisor.attach(rest, {
    signal,
    disks,
    leaveOutDisks: settings['leave-out-disks'],
    ...(machineId !== undefined && { machineId }),
    ...(every !== undefined && { intervalMs: every }),
    ...(config && { config }),
  });
  const pauses = pauseTally();
  try {
    const protection = await engine.protect(machine, repository, {
      signal,
      writer: {
        location: withoutSecrets(settings.location),
        program: 'fitdocd',
        protector: context.protector,
      },
      ...(compressor !== undefined && { compressor }),
      ...(level !== undefined && { level }),
      ...budgetOf(settings),
      ...hookOf(settings, context.name),
      ...quiesceOf(settings),
      onEvent: (event) => {
        pauses.note(event);
        if (event.type === 'resume-failed' || event.type === 'chain-broken') onDamage(damageOf(event.error));
        if (event.type !== 'damaged') return;
        for (const { key, damaged } of event.entries) onDamage(damageOf(damaged, key));
      },
    });
    return { machine, protection, pauses: pauses.counts };
  } catch (error) {
    await machine.detach();
    throw error;
  }
}

/** What runs in the pauses, with the environment that other hooks have. */
function hookOf(settings: MachineSettings, name: string): Pick<ProtectOptions, 'pauseHook'> {
  const hook = settings['pause-hook'];
  if (!hook) return {};
  const { command, timeout: timeoutMs, 'on-failure': onFailure } = hook;
  const env = { FITDOC_MACHINE: name, FITDOC_LOCATION: settings.location };
  return { pauseHook: { command, timeoutMs, onFailure, env } };
}

function quiesceOf({ quiesce }: MachineSettings): Pick<ProtectOptions, 'quiesce'> {
  if (!quiesce) return {};
  return { quiesce: { timeoutMs: quiesce.timeout, onFailure: quiesce['on-failure'] } };
}

/** Ends protection and attachment; the guest is as its operator wants it. What goes wrong is told and stops nothing. */
export async function detachFrom(
  { machine, protection }: Attachment,
  onError: (error: unknown) => void,
  onNote: (text: string) => void,
): Promise<void> {
  await protection.end().catch(onError);
  await machine.detach({ onNote }).catch(onError);
}
