import { FitdocError, isFitdocError } from '@fitdoc/interface';
import type { QemuConfig } from '../config.js';
import type { Description } from '../machine/describe.js';
import type { QemuVersion, QmpClient } from '../qmp/client.js';
import { hasDirtyRing } from './dirty-ring.js';
import { setCapabilities, type MigrationSettings } from './settings.js';

/** How a machine is captured. */
export interface Choice {
  readonly colo: boolean;
  /** COLO over a migration with a return path, whose end QEMU awaits before it begins. */
  readonly returnPath: boolean;
  /**
   * Each capture is a migration that ends where COLO begins: there the guest stands as it was captured, and its disks
   * are still QEMU's to work on, which they are no more when an ordinary migration has ended.
   */
  readonly endsAtColo: boolean;
  /** Why there is something that this machine cannot do. */
  readonly limits: readonly string[];
}

/** The first QEMU whose COLO works under emulation: before, its checkpoints deadlock QEMU. */
const EMULATED_COLO = 11;

const DIRTY_RING = 'dirty-ring-size is set, with which COLO aborts QEMU';

/** Whether COLO puts a guest at no risk. */
export function coloIsSafe(
  accelerator: Description['accelerator'],
  qemu: QemuVersion,
  memoryBackends: number,
): boolean {
  // No guest is to be put at the risk of a deadlock, or of lost pages, unless its owner insists: QEMU 11.1 does not
  // report every write to the main memory of an emulated guest that has further memory.
  return accelerator !== 'tcg' || (qemu.major >= EMULATED_COLO && memoryBackends <= 1);
}

/** What beside the QEMU decides. */
export interface ModeNeeds {
  /** Objects that back guest memory. Default 1. */
  readonly memoryBackends?: number;
  /** Disks are to be captured. */
  readonly disks?: boolean;
}

/** Turns COLO on where it may and can be, or is needed for disks. Requires that every other capability is off. */
export async function chooseMode(
  qmp: QmpClient,
  { capabilities }: MigrationSettings,
  { mode }: QemuConfig,
  { accelerator, qemu }: Description,
  { memoryBackends = 1, disks = false }: ModeNeeds = {},
): Promise<Choice> {
  const emulated = accelerator === 'tcg';
  const safe = coloIsSafe(accelerator, qemu, memoryBackends);
  const ring = mode !== 'precopy' && (await hasDirtyRing(qmp));
  if (ring && mode === 'colo') throw withoutColo(DIRTY_RING);
  const wanted = !ring && (mode === 'colo' || (mode === 'auto' && safe));
  const turned = wanted ? await turnColoOn(qmp, capabilities) : undefined;
  if (turned?.refusal !== undefined && mode === 'colo') throw withoutColo(turned.refusal);
  const colo = turned !== undefined && turned.refusal === undefined;
  const limits = colo
    ? []
    : [
        `Each capture reads all of the memory (${whyNot(mode, ring ? DIRTY_RING : turned?.refusal)}): its time grows with the memory.`,
      ];
  if (emulated) limits.push('Under emulation QEMU can lose pages in any migration.');
  // What is dangerous, or refused, is COLO's checkpoints: none is taken of a migration that ends where they begin.
  const begins = !colo && disks && !ring && turned === undefined;
  const only = begins ? await turnColoOn(qmp, capabilities) : undefined;
  const endsAtColo = only !== undefined && only.refusal === undefined;
  const returnPath = (endsAtColo ? only : turned)?.returnPath ?? false;
  return { colo, returnPath, endsAtColo, limits };
}

function whyNot(mode: QemuConfig['mode'], refusal: unknown): string {
  if (mode === 'precopy') return 'as the setting mode asks';
  if (refusal === undefined) return 'the guest is emulated';
  if (refusal === DIRTY_RING) return DIRTY_RING;
  return `this QEMU refuses COLO: ${wordsOf(refusal)}`;
}

interface Turned {
  readonly returnPath: boolean;
  /** QEMU's refusal, when COLO is not on. */
  readonly refusal?: unknown;
}

/** Turns COLO on, with the return path where this QEMU says that it takes one (11.0 and later). */
async function turnColoOn(qmp: QmpClient, known: MigrationSettings['capabilities']): Promise<Turned> {
  const attempt = async (on: readonly string[]): Promise<unknown> => {
    try {
      await setCapabilities(qmp, known, on);
      return undefined;
    } catch (error) {
      if (qmp.closed.aborted) throw error;
      return error;
    }
  };
  const refusal = await attempt(['x-colo', 'events']);
  if (refusal === undefined) return { returnPath: false };
  if (!wordsOf(refusal).includes('return-path')) return { returnPath: false, refusal };
  const second = await attempt(['return-path', 'x-colo', 'events']);
  return second === undefined ? { returnPath: true } : { returnPath: false, refusal: second };
}

/** What QEMU itself said, without a full stop. */
function wordsOf(error: unknown): string {
  const said = isFitdocError(error) ? error.details?.['description'] : undefined;
  const text = typeof said === 'string' ? said : error instanceof Error ? error.message : String(error);
  return text.replace(/\.$/, '');
}

function withoutColo(refusal: unknown): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `This QEMU refuses COLO: ${wordsOf(refusal)}.`, {
    cause: refusal,
    hint: 'Use mode "precopy" (or "auto"), or a QEMU built with replication support, as most distributions\' are.',
  });
}
