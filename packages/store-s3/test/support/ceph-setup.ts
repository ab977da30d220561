import type { TestProject } from 'vitest/node';
import { missingForCeph, startCeph } from '../../../../tools/lab/src/ceph/index.js';
import type { TestServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The Ceph that all test files share, or why there is none. */
    readonly server: TestServer | string;
  }
}

/** Starts one Ceph for the whole run. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');
  const missing = await missingForCeph();
  if (missing !== undefined) {
    if (required.includes('s3') || required.includes('all')) throw new Error(`Ceph is required: ${missing}`);
    process.stderr.write(`skipped: tests on a real S3 server: ${missing}\n`);
    project.provide('server', missing);
    return undefined;
  }
  const ceph = await startCeph();
  const { endpoint, bucket, directory, accessKeyId, secretAccessKey } = ceph;
  project.provide('server', { endpoint, bucket, directory, accessKeyId, secretAccessKey });
  return () => ceph.stop();
}
