import type { AdapterRegistry } from '@fitdoc/adapters';
import type { Engine, Protection } from '@fitdoc/engine';
import type { FitdocError, Machine } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import type { MachineSettings } from '../config/schema.js';

export interface AttachContext {
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  /** Opens the machine's repository, or gives the one that is open. */
  readonly repository: () => Promise<Repository>;
}

/** A machine that is attached, and the protection that takes its checkpoints. */
export interface Attachment {
  readonly machine: Machine;
  readonly protection: Protection;
}

/**
 * Attaches to the machine that the settings name and loads what its chain ends with. On failure nothing stays
 * attached. `onResumeFailed` is told when the chain cannot be read and protection starts over with a base.
 */
export async function attachTo(
  settings: MachineSettings,
  context: AttachContext,
  signal: AbortSignal,
  onResumeFailed: (error: FitdocError) => void,
): Promise<Attachment> {
  const { engine, registry } = context;
  const repository = await context.repository();
  const { hypervisor, rest } = await registry.hypervisorFor(settings.location);
  const { disks, every, config, compressor, level } = settings;
  const machineId = settings['machine-id'];
  const machine = await hypervisor.attach(rest, {
    signal,
    disks,
    ...(machineId !== undefined && { machineId }),
    ...(every !== undefined && { intervalMs: every }),
    ...(config && { config }),
  });
  try {
    const protection = await engine.protect(machine, repository, {
      signal,
      ...(compressor !== undefined && { compressor }),
      ...(level !== undefined && { level }),
      onEvent: (event) => {
        if (event.type === 'resume-failed') onResumeFailed(event.error);
      },
    });
    return { machine, protection };
  } catch (error) {
    await machine.detach();
    throw error;
  }
}

/** Ends protection and attachment; the guest runs on. What goes wrong is told and stops nothing. */
export async function detachFrom(
  { machine, protection }: Attachment,
  onError: (error: unknown) => void,
): Promise<void> {
  await protection.end().catch(onError);
  await machine.detach().catch(onError);
}
