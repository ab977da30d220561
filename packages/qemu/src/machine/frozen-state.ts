import type { DeviceState } from '@fitdoc/interface';
import type { Quiesced } from '../agent/quiesce.js';
import { FROZEN_STATE } from './state-names.js';

/** Tells whoever restores a capture that its file systems are frozen in its memory. */
export function frozenState({ frozen }: Quiesced): readonly DeviceState[] {
  return frozen === true ? [{ name: FROZEN_STATE, bytes: Uint8Array.of(1) }] : [];
}
