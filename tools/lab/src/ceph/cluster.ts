import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { run } from '../shell.js';
import { Daemons } from './daemons.js';
import { clusterSettings, placesIn } from './settings.js';

export interface CephUser {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A Ceph cluster of one node with its S3 gateway, on loopback, gone without a trace after `stop`. */
export interface RunningCeph extends CephUser {
  readonly endpoint: string;
  /** An empty bucket of the user. */
  readonly bucket: string;
  /** Its folder, for `cephAdmin`. */
  readonly directory: string;
  stop(): Promise<void>;
}

const BUCKET = 'checkpoints';
const START_MS = 240_000;

/** Starts a cluster; takes about 15 seconds of an idle machine. Needs what `installCeph` installs. */
export async function startCeph(): Promise<RunningCeph> {
  const directory = await mkdtemp(join(tmpdir(), 'fitdoc-ceph-'));
  const daemons = new Daemons(directory);
  const stop = async (): Promise<void> => {
    await daemons.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const [monitorPort, gatewayPort] = await freePorts();
    const place = { directory, fsid: randomUUID(), monitorPort, gatewayPort };
    const { configuration, folders } = placesIn(directory);
    for (const folder of folders) await mkdir(folder);
    await writeFile(configuration, clusterSettings(place));
    const deadline = Date.now() + START_MS;
    await startStorage(daemons, place, deadline);
    daemons.start('radosgw', ['-c', configuration, '-n', 'client.gateway'], process.env);
    const endpoint = `http://127.0.0.1:${gatewayPort}`;
    await until(deadline, daemons, () => answers(endpoint));
    const user = await createUser(directory, 'fitdoc');
    await createBucket(endpoint, user);
    return { ...user, endpoint, bucket: BUCKET, directory, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Monitor and OSD, up to where the OSD takes requests. */
async function startStorage(
  daemons: Daemons,
  { directory, fsid, monitorPort }: { directory: string; fsid: string; monitorPort: number },
  deadline: number,
): Promise<void> {
  const { configuration, keyring, monitorMap } = placesIn(directory);
  const conf = ['-c', configuration];
  await makeKeys(keyring);
  const address = `[v2:127.0.0.1:${monitorPort}]`;
  await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', address, monitorMap]);
  await run('ceph-mon', [...conf, '--mkfs', '-i', 'a', '--monmap', monitorMap, '--keyring', keyring]);
  daemons.start('ceph-mon', [...conf, '-i', 'a'], process.env);
  const osd = randomUUID();
  await run('ceph', [...conf, '--connect-timeout', '120', 'osd', 'new', osd, '0']);
  await run('ceph-osd', [...conf, '-i', '0', '--mkfs', '--osd-uuid', osd]);
  daemons.start('ceph-osd', [...conf, '-i', '0'], process.env);
  await until(deadline, daemons, async () => (await run('ceph', [...conf, 'osd', 'stat'])).includes('1 up'));
}

async function makeKeys(keyring: string): Promise<void> {
  const everything = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *'];
  const add = (name: string, caps: readonly string[], ...extra: string[]): Promise<string> =>
    run('ceph-authtool', [...extra, keyring, '--gen-key', '-n', name, ...caps]);
  await add('mon.', ['--cap', 'mon', 'allow *'], '--create-keyring');
  await add('client.admin', everything);
  await add('client.gateway', everything);
  await add('osd.0', ['--cap', 'mon', 'allow profile osd', '--cap', 'osd', 'allow *']);
}

/** Runs `radosgw-admin` on the cluster in `directory`; gives its output. */
export function cephAdmin(directory: string, ...args: string[]): Promise<string> {
  return run('radosgw-admin', ['-c', placesIn(directory).configuration, '-n', 'client.gateway', ...args]);
}

async function createUser(directory: string, name: string): Promise<CephUser> {
  // Given on a command line, but good for nothing outside this loopback cluster.
  const user = {
    accessKeyId: randomBytes(10).toString('hex').toUpperCase(),
    secretAccessKey: randomBytes(20).toString('hex'),
  };
  const keys = ['--access-key', user.accessKeyId, '--secret-key', user.secretAccessKey];
  await cephAdmin(directory, 'user', 'create', '--uid', name, '--display-name', name, ...keys);
  return user;
}

async function createBucket(endpoint: string, credentials: CephUser): Promise<void> {
  const client = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  } finally {
    client.destroy();
  }
}

async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint, { signal: AbortSignal.timeout(5_000) }).then(
    (answer) => answer.ok,
    () => false,
  );
}

async function until(deadline: number, daemons: Daemons, ready: () => Promise<boolean>): Promise<void> {
  while (!(await ready())) {
    await daemons.check();
    if (Date.now() > deadline) throw new Error('Ceph did not start in time.');
    await sleep(200);
  }
}

/** Two ports that nothing listens on. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [ports[0] as number, ports[1] as number];
}
