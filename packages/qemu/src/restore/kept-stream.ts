import { PAGE_SIZE, type CallOptions, type RestoreSource } from '@fitdoc/interface';
import { qemuStream } from '../stream/write.js';

/** A stream that is held whole, to be given to several. */
export interface KeptStream {
  readonly chunks: readonly Uint8Array[];
  /** Pages in it. */
  readonly pages: number;
}

/** Most bytes of memory in a stream that is held: firmware and a screen's, not a second block of the guest's own. */
const MOST_BYTES = 64 << 20;

/** Whether the stream of all regions but one is short enough to be held. */
export function canKeep({ info }: RestoreSource, without: string): boolean {
  const pages = info.regions.reduce((sum, { name, pages: each }) => sum + (name === without ? 0 : each), 0);
  return pages * PAGE_SIZE <= MOST_BYTES;
}

/** Makes the stream of all regions but one. Errors: those of `qemuStream`. */
export async function keepStream(
  source: RestoreSource,
  without: string,
  { signal }: CallOptions,
): Promise<KeptStream> {
  const chunks: Uint8Array[] = [];
  let pages = 0;
  const onProgress = ({ done }: { readonly done: number }): void => void (pages = done);
  for await (const chunk of qemuStream(source, { without, onProgress, ...(signal && { signal }) }))
    chunks.push(chunk);
  return { chunks, pages };
}
