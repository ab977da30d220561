import { GetObjectCommand } from '@aws-sdk/client-s3';
import type { ByteRange } from '@fitdoc/interface';
import { failureName, missing } from './errors.js';
import { RESERVED_BY } from './marks.js';
import type { S3Requests } from './requests.js';

const NOTHING = 'InvalidRange';

/** Reads an object or a range of it, anew when the answer breaks off. STORE_NOT_FOUND. */
export async function getObject(
  requests: S3Requests,
  key: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  // A range that starts at the end or behind it is no error for a store: there is nothing there.
  if (range?.length === 0) return nothing(requests, key, signal);
  const wanted = range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
  const input = { ...requests.at(key), ...wanted };
  try {
    return await requests.request(`Reading ${key}`, signal, async (options) => {
      const answer = await requests.client.send(new GetObjectCommand(input), options);
      const body = answer.Body as AsyncIterable<Uint8Array>;
      const bytes = await collect(body, answer.ContentLength, signal);
      if (answer.Metadata?.[RESERVED_BY] !== undefined) throw missing(key);
      return bytes;
    });
  } catch (error) {
    if (failureName(error) === NOTHING) return nothing(requests, key, signal);
    throw error;
  }
}

async function nothing(requests: S3Requests, key: string, signal: AbortSignal): Promise<Uint8Array> {
  const found = await requests.head(key, signal);
  if (!found || found.reservedBy !== undefined) throw missing(key);
  return new Uint8Array();
}

/** Leaving the loop early destroys the stream, and with it the connection. */
async function collect(
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (length === undefined) throw new BrokenAnswer();
  const bytes = new Uint8Array(length);
  let filled = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    if (filled + chunk.length > length) throw new BrokenAnswer();
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled < length) throw new BrokenAnswer();
  return bytes;
}

/** Without a status, so taken for what it is: an answer that got lost on its way. */
class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer';
}
