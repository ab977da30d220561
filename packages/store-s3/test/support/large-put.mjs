// Puts and reads back a large body; tells how much memory this process took on top of what it had before.
import { storeFactory } from '@fitdoc/store-s3';

const [location, credentialsFile, mebibytes] = process.argv.slice(2);
const store = await storeFactory.open(location, { config: { credentialsFile } });
const chunk = new Uint8Array(1_000_003).map((_, i) => i * 7);
const total = Number(mebibytes) * 2 ** 20;

async function* body(bytes) {
  for (let left = bytes; left > 0; left -= chunk.length)
    yield chunk.subarray(0, Math.min(left, chunk.length));
}

await store.put('warm', body(24 * 2 ** 20));
globalThis.gc();
const rest = process.memoryUsage();
const growth = { rss: 0, heapUsed: 0, arrayBuffers: 0 };
const watch = () => {
  const now = process.memoryUsage();
  for (const name of Object.keys(growth)) growth[name] = Math.max(growth[name], now[name] - rest[name]);
};
const timer = setInterval(watch, 20);
const { size } = await store.put('large', body(total));
const putGrowth = { ...growth };
const step = 4 * 2 ** 20;
let sum = 0;
for (let offset = 0; offset < total; offset += step) {
  const part = await store.get('large', { offset, length: step });
  for (let i = 0; i < part.length; i += 4_096)
    if (part[i] !== chunk[(offset + i) % chunk.length]) throw new Error('other bytes');
  sum += part.length;
}
clearInterval(timer);
await store.delete('large');
await store.close();
console.log(JSON.stringify({ size, sum, putGrowth, growth }));
