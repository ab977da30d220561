import { randomUUID } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { FitdocError, type CallOptions } from '@fitdoc/interface';
import { storeError } from './errors.js';
import type { S3Location } from './location.js';

/** `atomic`: the server honours If-None-Match. `checked`: it does not, and puts look first. */
export type ConditionalPut = 'atomic' | 'checked';

/**
 * Finds out whether the server honours `If-None-Match: *`, by putting one small object twice. Servers that do
 * not know the header ignore it, so nothing but a try tells.
 */
export async function probeConditionalPut(
  client: S3Client,
  place: S3Location,
  options: CallOptions = {},
): Promise<ConditionalPut> {
  const target = { Bucket: place.bucket, Key: `${place.prefix}probe/${randomUUID()}` };
  const send = { ...(options.signal && { abortSignal: options.signal }) };
  const put = (): Promise<unknown> =>
    client.send(new PutObjectCommand({ ...target, Body: 'fitdoc', IfNoneMatch: '*' }), send);
  try {
    await put();
    try {
      await put();
      return 'checked';
    } catch (error) {
      if (storeError(error, 'Probing').code === 'STORE_EXISTS') return 'atomic';
      throw error;
    } finally {
      await client.send(new DeleteObjectCommand(target), send);
    }
  } catch (error) {
    // Some servers refuse the header outright instead of ignoring it.
    if ((error as { name?: string }).name === 'NotImplemented') return 'checked';
    throw error;
  }
}

export function refuseWeak(location: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `The server of ${location} ignores If-None-Match.`, {
    hint: 'Set conditionalPut = "weak" if only one fitdoc writes to this bucket, or use a server that has it.',
  });
}
