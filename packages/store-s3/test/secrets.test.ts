import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { storeFactory } from '../src/index.js';
import {
  because,
  credentialsFile,
  newPlace,
  openStore,
  server,
  serverCredentials,
  withoutServer,
} from './support/server.js';

const WRONG = 'wr0ng/Secret+wr0ng/Secret+wr0ng/Secret+1';

describe.skipIf(withoutServer !== undefined)(`credentials${because}`, () => {
  /** Runs the program to its end; gives all that it printed, and what a process list showed meanwhile. */
  async function trace(location: string, file: string | undefined, environment: NodeJS.ProcessEnv = {}) {
    const program = join(import.meta.dirname, 'support', 'secretive.mjs');
    const child = spawn(process.execPath, [program, location, ...(file ? [file] : [])], {
      env: { ...process.env, ...environment },
    });
    let output = '';
    let shown = '';
    const reading = new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        output += chunk.toString();
        if (!output.includes('waiting')) return;
        readFile(`/proc/${child.pid}/cmdline`, 'utf8').then((text) => {
          shown = text;
          resolve();
        }, reject);
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      child.once('error', reject);
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await reading;
    child.stdin.end('done');
    await closed;
    return { output, shown };
  }

  it.each(['good', 'wrong'])(
    'of a %s file or environment are in no output, error or process list',
    async (kind) => {
      const { accessKeyId, secretAccessKey } = server();
      const secret = kind === 'good' ? secretAccessKey : WRONG;
      const file = credentialsFile({ accessKeyId, secretAccessKey: secret });
      const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secret };
      for (const { output, shown } of [
        await trace(newPlace(), file),
        await trace(newPlace(), undefined, environment),
        await trace(`http://127.0.0.1:1/${server().bucket}`, file),
      ]) {
        expect(output).toContain('waiting');
        expect(output).toMatch(
          kind === 'good' ? /STORE_EXISTS|STORE_UNAVAILABLE/ : /STORE_DENIED|STORE_UNAVAILABLE/,
        );
        for (const text of [output, shown]) {
          expect(text).not.toContain(secret);
          expect(text).not.toContain(accessKeyId);
          expect(text).not.toMatch(/authorization|Signature=/i);
        }
      }
    },
  );

  it('are denied when wrong, and never quoted when unreadable', async () => {
    const { accessKeyId } = server();
    const wrong = credentialsFile({ accessKeyId, secretAccessKey: WRONG });
    await expect(openStore(newPlace(), { credentialsFile: wrong })).rejects.toMatchObject({
      code: 'STORE_DENIED',
      retryable: false,
    });
    const unknown = credentialsFile({ accessKeyId: 'NOBODY', secretAccessKey: WRONG });
    await expect(openStore(newPlace(), { credentialsFile: unknown })).rejects.toMatchObject({
      code: 'STORE_DENIED',
    });
    for (const content of [
      WRONG,
      [WRONG],
      { accessKeyId: WRONG },
      { accessKeyId: 1, secretAccessKey: WRONG },
    ]) {
      const failure = await openStore(newPlace(), {
        credentialsFile: credentialsFile(content as object),
      }).catch((error: unknown) => error as Error);
      expect(failure).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(JSON.stringify(failure) + String((failure as Error).stack)).not.toContain(WRONG);
    }
  });
});

describe.skipIf(withoutServer !== undefined)(`opening${because}`, () => {
  it('tells a missing bucket from a server that is not there', async () => {
    const missing = `${server().endpoint}/no-such-bucket/x`;
    await expect(openStore(missing)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND', retryable: false });
    await expect(openStore(missing)).rejects.toThrow('There is no bucket no-such-bucket.');
    await expect(openStore(`http://127.0.0.1:1/${server().bucket}`, { attempts: 2 })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    });
    await expect(
      openStore(`http://nowhere.invalid/${server().bucket}`, { attempts: 1 }),
    ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
  });

  it('can be cancelled', async () => {
    const config = { credentialsFile: serverCredentials(), attempts: 50 };
    const signal = AbortSignal.timeout(200);
    await expect(
      storeFactory.open(`http://127.0.0.1:1/${server().bucket}`, { signal, config }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
