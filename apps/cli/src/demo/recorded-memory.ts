import { readTrace, type TracePages } from '@fitdoc/adapters/mock';
import { PAGE_SIZE } from '@fitdoc/interface';

/** The pages of a recorded guest after so many epochs, straight from the recording. */
export async function recordedMemory(recording: string, epochs: number): Promise<Map<number, Uint8Array>> {
  const trace = await readTrace(recording);
  const memory = new Map<number, Uint8Array>();
  const apply = ({ gfns, bytes }: TracePages): void =>
    gfns.forEach((gfn, page) => memory.set(gfn, bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)));
  apply(trace.base);
  trace.epochs.slice(0, epochs).forEach(apply);
  return memory;
}

/** Whether a page of the mock and a recorded one hold the same; one that is not there is zero. */
export function samePage(page: Uint32Array | undefined, recorded: Uint8Array | undefined): boolean {
  const bytes = page ? Buffer.from(page.buffer, page.byteOffset, PAGE_SIZE) : Buffer.alloc(PAGE_SIZE);
  return bytes.equals(recorded ?? Buffer.alloc(PAGE_SIZE));
}
