import { createEngine, type Engine } from '@fitdoc/engine';
import type { DaemonSettings } from '../config/schema.js';

/** The engine that all machines share. */
export function engineFor(settings: DaemonSettings): Engine {
  const { workers, memory, 'cold-dir': coldDirectory } = settings;
  return createEngine({
    ...(workers !== undefined && { workers }),
    ...(memory !== undefined && { memoryBudget: memory }),
    ...(coldDirectory !== undefined && { coldDirectory }),
  });
}
