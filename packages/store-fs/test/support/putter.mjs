// Puts objects that prove themselves, forever or for a list of keys, and prints each key that was acknowledged.
import { createHash } from 'node:crypto';
import { FsStore } from '@fitdoc/store-fs';

const [root, name, mode, ...keys] = process.argv.slice(2);
const store = new FsStore(root);

function selfProving(seed) {
  const body = Buffer.alloc(1000 + ((seed * 7919) % 400_000), `${name} ${seed} `);
  return Buffer.concat([createHash('sha256').update(body).digest(), body]);
}

async function* streamed(bytes) {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}

if (mode === 'race') {
  for (const key of keys) {
    const won = await store.put(key, Buffer.from(name)).then(
      () => true,
      (error) => (error.code === 'STORE_EXISTS' ? false : Promise.reject(error)),
    );
    if (won) process.stdout.write(`${key}\n`);
  }
} else {
  for (let seed = 0; ; seed++) {
    const key = `${name}/${seed % 5}/${seed}.bin`;
    await store.put(key, streamed(selfProving(seed)));
    process.stdout.write(`${key}\n`);
    await store.put('shared/latest.bin', selfProving(seed), { mode: 'replace' });
  }
}
