import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFitdocError } from '@fitdoc/interface';
import { QmpClient } from '../qmp/client.js';
import { release } from '../session/release.js';

// The guard process: reads "+path" and "-path" lines; at the end of its input it resumes what is left.

const TRIES = 60;

async function rescue(path: string): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      const { client } = await QmpClient.connect(path);
      try {
        return await release(client);
      } finally {
        client.close();
      }
    } catch (error) {
      if (isFitdocError(error, 'MACHINE_NOT_FOUND') || isFitdocError(error, 'MACHINE_GONE')) return;
      await sleep(500);
    }
  }
}

const paths = new Set<string>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
for await (const line of createInterface({ input: process.stdin })) {
  const path = JSON.parse(line.slice(1)) as string;
  if (line.startsWith('+')) paths.add(path);
  else paths.delete(path);
}
await Promise.all([...paths].map(rescue));
