import type { CheckpointEntry, Repository } from '@fitdoc/repository';

export declare function stateOf(seed: string, length: number): Uint8Array;
export declare function protect(
  repository: Repository,
  machine: string,
  count: number,
  options?: {
    readonly onCommit?: (entry: CheckpointEntry) => unknown;
    readonly parent?: CheckpointEntry | undefined;
    readonly stateBytes?: number;
  },
): Promise<CheckpointEntry>;
