import { bodyChunks, throwIfAborted, type StoreBody } from '@fitdoc/interface';
import type { OpenFile } from '../host/file-system.js';

const BUFFER = 1 << 20;
const SLICE = 8 << 20;

/** Carries a body's own error past the translation of the file system's. */
export class BodyFailure extends Error {
  constructor(readonly error: unknown) {
    super('the body failed');
  }
}

/** Writes a body to a file, small chunks gathered, and asks for the next only when there is room. */
export async function writeBody(file: OpenFile, body: StoreBody, signal: AbortSignal): Promise<void> {
  let buffer: Uint8Array | undefined;
  let filled = 0;
  const flush = async (): Promise<void> => {
    if (buffer && filled > 0) await writeAll(file, buffer.subarray(0, filled), signal);
    filled = 0;
  };
  for await (const chunk of marked(bodyChunks(body, signal))) {
    if (filled + chunk.length > BUFFER) await flush();
    if (chunk.length >= BUFFER / 4 && filled === 0) {
      await writeAll(file, chunk, signal);
      continue;
    }
    buffer ??= new Uint8Array(BUFFER);
    buffer.set(chunk, filled);
    filled += chunk.length;
  }
  await flush();
}

async function* marked(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const step = await chunks.next().catch((error: unknown) => {
        throw new BodyFailure(error);
      });
      if (step.done) return;
      yield step.value;
    }
  } finally {
    await chunks.return(undefined);
  }
}

async function writeAll(file: OpenFile, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    throwIfAborted(signal);
    offset += await file.write(bytes.subarray(offset, offset + SLICE));
  }
}
