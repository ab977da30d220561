import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  missingForKvm,
  installQemu,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../lab/src/qemu/index.js';

const CHECKPOINTS = 20;
const BACK_TO = 10;

/** The main job on a real QEMU guest that proves its own memory. */
export async function demoWithGuest(command: string): Promise<number> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  await installQemu();
  const options = await guestOptions(print);
  const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-demo-'));
  const store = ['--store', path.join(folder, 'checkpoints')];
  const guests: RunningGuest[] = [];
  try {
    const original = await startGuest(options);
    guests.push(original);
    await waitForHeartbeats(original.serialPath, (beats) => beats.length > 3, 180_000);
    print(`\n1. A guest runs, and prints a checksum of its own memory with every beat.\n`);
    print(`2. ${CHECKPOINTS} checkpoints of it, one a second:\n`);
    const watch = [
      'watch',
      `kvm:${original.qmpPath}`,
      ...store,
      '--init',
      '--every',
      '1s',
      '--count',
      `${CHECKPOINTS}`,
    ];
    if ((await run(command, watch)) !== 0) return 1;
    const before = await readHeartbeats(original.serialPath);
    print(`\n3. Back to checkpoint ${BACK_TO}, in a new QEMU that waits for it:\n`);
    const target = await startGuest({ ...options, incoming: true });
    guests.push(target);
    const spec = `latest~${CHECKPOINTS - BACK_TO}`;
    if ((await run(command, ['restore', spec, ...store, '--to', `kvm:${target.qmpPath}`])) !== 0) return 1;
    const after = await waitForHeartbeats(target.serialPath, (beats) => beats.length > 0, 60_000);
    const first = after[0];
    const same = before.find(({ name, beat }) => name === first?.name && beat === first.beat);
    const proved = first?.intact === true && first.sum === same?.sum;
    print(`   first beat after the restore: ${first?.beat}, checksum ${first?.sum}`);
    print(`   the original at that beat:    ${same?.beat}, checksum ${same?.sum}`);
    print(proved ? '   equal: the guest goes on exactly where it was.\n' : '   NOT equal.\n');
    print('4. The repository, all of it read and checked:\n');
    return (await run(command, ['verify', '--read-data', ...store])) === 0 && proved ? 0 : 1;
  } finally {
    for (const guest of guests) await guest.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function guestOptions(print: (line: string) => void): Promise<GuestOptions> {
  const machine = 'pc-i440fx-7.2';
  if ((await missingForKvm()) === undefined) {
    print('A bare-metal guest on /dev/kvm.');
    return { accel: 'kvm', machine, name: 'demo' };
  }
  print(
    '/dev/kvm cannot run a guest here: a Linux guest under software emulation instead. Pauses are longer.',
  );
  return { accel: 'tcg', machine, name: 'demo' };
}

function run(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [command, ...args], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}
