import { execFile } from 'node:child_process';
import { rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { missingForQemu } from '../../lab/src/qemu/index.js';
import { record, writeParts } from './record.js';
import { encodeTrace } from './trace.js';

const usage = `Usage: tsx tools/recorder/src/main.ts --out FILE.ramtrace.zst [options]
  --load NAME      a script of tools/recorder/loads (default: office)
  --memory MIB     main memory of the guest (default: 96)
  --epochs N       epochs to record (default: 24)
  --interval S     seconds of work an epoch (default: 1)
  --warmup S       seconds of work before the first epoch (default: 3)
  --accel NAME     tcg or kvm (default: tcg)`;

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    load: { type: 'string', default: 'office' },
    memory: { type: 'string', default: '96' },
    epochs: { type: 'string', default: '24' },
    interval: { type: 'string', default: '1' },
    warmup: { type: 'string', default: '3' },
    accel: { type: 'string', default: 'tcg' },
  },
});

async function main(out: string): Promise<void> {
  const missing = await missingForQemu();
  if (missing !== undefined) throw new Error(missing);
  const intervalSeconds = Number(values.interval);
  const { first, epochs } = await record({
    load: fileURLToPath(new URL(`../loads/${values.load}.sh`, import.meta.url)),
    memoryMib: Number(values.memory),
    epochs: Number(values.epochs),
    intervalSeconds,
    warmupSeconds: Number(values.warmup),
    accel: values.accel === 'kvm' ? 'kvm' : 'tcg',
    onEpoch: (epoch, pages) => console.error(`epoch ${epoch}: ${pages} pages changed`),
  });
  const raw = `${out}.raw`;
  try {
    await writeParts(raw, encodeTrace(first, epochs, { workload: values.load, intervalSeconds }));
    const { size } = await stat(raw);
    // A window as long as the recording: a page is most like itself some epochs ago.
    await promisify(execFile)('zstd', ['-q', '-f', '-19', '--long=30', raw, '-o', out]);
    console.log(`${out}: ${(await stat(out)).size} bytes, ${size} unpacked`);
  } finally {
    await rm(raw, { force: true });
  }
}

if (values.out === undefined) {
  console.error(usage);
  process.exitCode = 2;
} else {
  await main(values.out);
}
