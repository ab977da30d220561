import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type DeleteObjectsCommandOutput,
} from '@aws-sdk/client-s3';
import { isFitdocError, type DeleteFailure } from '@fitdoc/interface';
import { failureName, storeError } from './errors.js';
import type { S3Requests } from './requests.js';

/** The most keys that one DeleteObjects takes. */
const MOST_KEYS = 1_000;

/** What a server says that has no DeleteObjects (Google's XML interface for one), or does not let us use it. */
const NOT_THERE = /^(NotImplemented|MethodNotAllowed|UnsupportedOperation)$/;

/** Deletes in requests of a thousand keys, or one by one where the server has no such request. */
export async function deleteObjects(
  requests: S3Requests,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<DeleteFailure[]> {
  const failures: DeleteFailure[] = [];
  for (let at = 0; at < keys.length; at += MOST_KEYS) {
    const some = keys.slice(at, at + MOST_KEYS);
    try {
      failures.push(...(await deleteSome(requests, some, signal)));
    } catch (error) {
      if (!isFitdocError(error) || !NOT_THERE.test(failureName(error))) throw error;
      for (const key of some) failures.push(...(await deleteOne(requests, key, signal)));
    }
  }
  return failures;
}

async function deleteSome(
  requests: S3Requests,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<DeleteFailure[]> {
  const { Bucket, Key: prefix } = requests.at('');
  const answer = await requests.request(`Deleting ${keys.length} objects`, signal, (send) => {
    const Objects = keys.map((key) => ({ Key: requests.at(key).Key }));
    const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } });
    addContentMd5(command);
    return requests.client.send(command, send);
  });
  return failuresOf(answer, prefix.length);
}

function failuresOf(answer: DeleteObjectsCommandOutput, prefixLength: number): DeleteFailure[] {
  const failures: DeleteFailure[] = [];
  for (const { Key = '', Code = '', Message = '' } of answer.Errors ?? []) {
    if (Code === 'NoSuchKey') continue;
    const key = Key.slice(prefixLength);
    failures.push({
      key,
      error: storeError({ name: Code, message: Message, $fault: 'client' }, `Deleting ${key}`),
    });
  }
  return failures;
}

async function deleteOne(requests: S3Requests, key: string, signal: AbortSignal): Promise<DeleteFailure[]> {
  try {
    const command = new DeleteObjectCommand(requests.at(key));
    await requests.request(`Deleting ${key}`, signal, (send) => requests.client.send(command, send));
    return [];
  } catch (error) {
    if (!isFitdocError(error) || signal.aborted) throw error;
    return [{ key, error }];
  }
}

/** S3 wants a checksum of this request; every server knows this one, and not all know the SDK's newer ones. */
function addContentMd5(command: DeleteObjectsCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { body?: unknown; headers: Record<string, string> };
      const body = typeof request.body === 'string' || request.body instanceof Uint8Array ? request.body : '';
      request.headers['content-md5'] = createHash('md5').update(body).digest('base64');
      return next(args);
    },
    { step: 'build', name: 'contentMd5' },
  );
}
