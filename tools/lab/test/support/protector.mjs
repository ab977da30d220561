// Stands for a daemon: puts a chain of checkpoints of one machine, and says of each that it is committed.
import { createHash } from 'node:crypto';
import { Repository } from '@fitdoc/repository';
import { storeFactory } from '@fitdoc/store-s3';

/** Bytes that do not compress, so that a large state is a large object. */
export function stateOf(seed, length) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let word = createHash('sha256').update(seed).digest().readUInt32LE() || 1;
  for (let i = 0; i < words.length; i++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[i] = word;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Puts `count` checkpoints to the chain of a machine; every sixth is too large for one part. */
export async function protect(
  repository,
  machine,
  count,
  { onCommit, parent, stateBytes = 5.5 * 2 ** 20 } = {},
) {
  for (let i = 0; i < count; i++) {
    const sequence = parent ? parent.sequence + 1 : 0;
    const at = Date.now();
    const header = {
      machine: {
        id: machine,
        name: machine,
        hypervisor: 'mock',
        scheme: 'mock',
        architecture: 'x86_64',
        regions: [{ name: 'ram', firstGfn: 0, pages: 16, kind: 'ram' }],
        platform: {},
        disks: [],
      },
      sequence,
      ...(parent && { parent: { id: parent.id, contentHash: parent.contentHash } }),
      kind: parent ? 'increment' : 'base',
      createdAtMs: at,
      capturedAtMs: at,
      tool: 'test',
    };
    async function* content() {
      const length = sequence % 6 === 0 ? stateBytes : 3_000;
      yield { type: 'deviceState', state: [{ name: 's', bytes: stateOf(`${machine} ${sequence}`, length) }] };
    }
    const entry = await repository.put(header, content());
    await onCommit?.(entry);
    parent = entry;
  }
  return parent;
}

const [location, credentialsFile, machine, count] = process.argv.slice(2);
if (machine) {
  const config = { credentialsFile, partBytes: 5 * 2 ** 20 };
  const store = await storeFactory.open(location, { config });
  const repository = await Repository.open(store);
  const [last] = (await repository.checkpoints({ machine })).slice(-1);
  await protect(repository, machine, Number(count), {
    parent: last,
    onCommit: (entry) => console.log(entry.id),
  });
  await repository.close();
  await store.close();
}
