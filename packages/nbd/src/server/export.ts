import type { CallOptions } from '@fitdoc/interface';

/** Bytes of a disk from `offset` on. */
export interface NbdPart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** So many bytes that hold data, or are known to be zero. */
export interface NbdStatus {
  readonly length: number;
  readonly zero: boolean;
}

/** A disk that is served read-only. Its name is what clients ask for. */
export interface NbdExport {
  readonly name: string;
  readonly sizeBytes: number;
  /** For people who list the exports. */
  readonly description?: string;
  /**
   * What from `offset` to before `offset + length` is not zero: ascending, disjoint, none of it outside. A failure is
   * told to the client as an input/output error; called by many at once.
   */
  read(offset: number, length: number, options: CallOptions): Promise<readonly NbdPart[]>;
  /**
   * What is where from `offset` on. May end before `offset + length`, as long as it says something. What is called data
   * may turn out to be zero, never the other way round.
   */
  status(offset: number, length: number, options: CallOptions): Promise<readonly NbdStatus[]>;
}

/** The export of that name; without a name the only one there is. */
export function exportNamed(exports: readonly NbdExport[], name: string): NbdExport | undefined {
  const found = exports.find((each) => each.name === name);
  return found ?? (name === '' && exports.length === 1 ? exports[0] : undefined);
}
