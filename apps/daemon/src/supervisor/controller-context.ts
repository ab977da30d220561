import type { CheckpointResult } from '@fitdoc/engine';
import type { Damage, LastCheckpoint, MachineStatus, Problem } from '../model.js';
import type { AttachContext } from './attachment.js';
import type { Semaphore } from './semaphore.js';

/** What a machine's controller needs of the daemon, and whom it tells. */
export interface ControllerContext extends AttachContext {
  readonly captures: Semaphore;
  readonly onChange: (status: MachineStatus) => void;
  readonly onAttached: () => void;
  readonly onCheckpoint: (result: CheckpointResult, checkpoint: LastCheckpoint) => void;
  readonly onProblem: (problem: Problem) => void;
  readonly onDamage: (damage: Damage) => void;
  readonly onMissed: (missed: number) => void;
  /** What people should know of how a guest was left. */
  readonly onNote: (text: string) => void;
  /** Until when the machine was released when the daemon ended, and whom to tell of a change of that. */
  readonly releasedUntilMs?: number | undefined;
  readonly onReleased: (untilMs: number | undefined) => void;
}
