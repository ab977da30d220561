import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { abortError, bodyChunks, throwIfAborted, type StoreBody } from '@fitdoc/interface';

export interface UploadSettings {
  readonly partBytes: number;
  readonly parallelParts: number;
}

interface UploadRequest {
  readonly bucket: string;
  readonly key: string;
  readonly body: StoreBody;
  /** Put the condition on the request that makes the object appear. */
  readonly ifAbsent: boolean;
  readonly signal: AbortSignal;
}

/**
 * Stores a body in parts, holding `partBytes * parallelParts` of it at a time; gives its size. A small body is
 * one PUT. The condition goes with the one request that makes the object appear: that PUT, or the completion
 * of the parts. On failure the parts are removed.
 */
export async function upload(
  client: S3Client,
  settings: UploadSettings,
  request: UploadRequest,
): Promise<number> {
  const { signal } = request;
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bodyChunks(request.body, signal)) {
      size += chunk.length;
      yield chunk;
    }
  }
  let failure: unknown;
  const source = Readable.from(counted(), { objectMode: false, highWaterMark: settings.partBytes });
  // The SDK wraps what its source throws; the caller is promised the body's own error.
  source.once('error', (error) => (failure = error));
  const task = new Upload({
    client,
    params: {
      Bucket: request.bucket,
      Key: request.key,
      Body: source,
      ...(request.ifAbsent && { IfNoneMatch: '*' }),
    },
    partSize: settings.partBytes,
    queueSize: settings.parallelParts,
    leavePartsOnError: false,
  });
  const onAbort = (): void => void task.abort();
  throwIfAborted(signal);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await task.done();
    return size;
  } catch (error) {
    source.destroy();
    if (signal.aborted) throw abortError(signal);
    throw failure ?? error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
