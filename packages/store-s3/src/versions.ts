import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import type { S3Requests } from './requests.js';

/** Deletes an object, and for `versions` what a bucket keeps of it; `go-if-kept` goes by what the server answers. */
export async function deleteObject(
  requests: S3Requests,
  key: string,
  versions: 'stay' | 'go' | 'go-if-kept',
  signal: AbortSignal,
): Promise<void> {
  const command = new DeleteObjectCommand(requests.at(key));
  const answer = await requests.request(`Deleting ${key}`, signal, (send) =>
    requests.client.send(command, send),
  );
  const isKept = answer.DeleteMarker === true || answer.VersionId !== undefined;
  // Without the right to, or under a retention, they stay: the object itself is gone.
  if (versions === 'go' || (versions === 'go-if-kept' && isKept))
    await deleteVersions(requests, key, signal).catch(() => undefined);
}

async function deleteVersions(requests: S3Requests, key: string, signal: AbortSignal): Promise<void> {
  const { Bucket, Key } = requests.at(key);
  const listed = await requests.request(`Deleting the versions of ${key}`, signal, (send) =>
    requests.client.send(new ListObjectVersionsCommand({ Bucket, Prefix: Key }), send),
  );
  const versions = [...(listed.Versions ?? []), ...(listed.DeleteMarkers ?? [])];
  for (const { Key: found, VersionId } of versions) {
    if (found !== Key || VersionId === undefined) continue;
    const command = new DeleteObjectCommand({ Bucket, Key, VersionId });
    await requests.request(`Deleting a version of ${key}`, signal, (send) =>
      requests.client.send(command, send),
    );
  }
}

/** What an operator of a bucket with versions or object lock should know. Nothing where that may not be asked. */
export async function notesOnVersions(requests: S3Requests, signal: AbortSignal): Promise<string[]> {
  const Bucket = requests.place.bucket;
  const ask = requests.once('Asking for versions', signal);
  const versioning = await ask((send) =>
    requests.client.send(new GetBucketVersioningCommand({ Bucket }), send),
  );
  if (versioning?.Status === undefined) return [];
  const notes = [
    `The bucket ${Bucket} keeps versions: what is deleted or pruned stays in it, and is paid for, until a lifecycle rule removes noncurrent versions.`,
  ];
  const lock = await ask((send) =>
    requests.client.send(new GetObjectLockConfigurationCommand({ Bucket }), send),
  );
  const retention = lock?.ObjectLockConfiguration?.Rule?.DefaultRetention;
  if (retention) {
    const span = retention.Years === undefined ? `${retention.Days} days` : `${retention.Years} years`;
    notes.push(
      `Object lock keeps every version in the bucket ${Bucket} for ${span} (${retention.Mode}), locks of fitdoc among them: nothing frees room before.`,
    );
  }
  return notes;
}
