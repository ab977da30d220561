import { missingForKvm } from '../../../lab/src/qemu/index.js';
import { availableBytes } from '../available-memory.js';
import { loadRow } from '../end-to-end/load.js';
import { forkRows } from '../instant/forks.js';
import { promotionRows } from '../instant/promotions.js';
import { instantRows } from '../instant/rows.js';
import { makeSubject, neededBytes, type Size, type Subject } from '../instant/subject.js';
import { inTurns } from '../instant/turns.js';
import type { Row, Section } from '../section.js';

const SIZES: readonly Size[] = [
  { name: 'KVM 192 MiB', mebibytes: 192 },
  { name: 'KVM 1 GiB', mebibytes: 1024 },
  { name: 'KVM 4 GiB', mebibytes: 4096 },
];
/** Milliseconds that each request to the store takes more. */
const DELAYS = [0, 2, 10];

export const section: Section = {
  name: 'instant',
  title: 'Restores whose guest runs before its memory is there, forks, and promoted standbys',
  requires: missingForKvm,
  async run(context) {
    const before = loadRow('before');
    const subjects: Subject[] = [];
    const skipped: Row[] = [];
    for (const size of wantedSizes(context.quick)) {
      const [free, needed] = [await availableBytes(), neededBytes(size)];
      if (free < needed) {
        const why = `${mebibytes(needed)} of memory are needed and ${mebibytes(free)} are available`;
        context.log(`SKIPPED ${size.name}: ${why}`);
        skipped.push({ name: size.name, variant: `SKIPPED: ${why}`, value: NaN, unit: '' });
        continue;
      }
      context.log(`${size.name}: taking a base and its increments`);
      subjects.push(await makeSubject(size, await context.temporaryDirectory()));
    }
    const rounds = context.quick ? 2 : 5;
    const samples = await inTurns(subjects, DELAYS, rounds, (message) => context.log(message));
    const machines: Row[] = [];
    for (const [name, rows] of Object.entries(MACHINES))
      if (isWanted(name)) machines.push(...(await rows(context)));
    return [...instantRows(samples), ...skipped, ...machines, before, loadRow('after')];
  },
};

/** Rows of machines that are started, beside restores to ones that wait. */
const MACHINES = { forks: forkRows, promotions: promotionRows };

/** INSTANT_ONLY=restores,forks,promotions takes some of them. */
function isWanted(name: string): boolean {
  return process.env['INSTANT_ONLY']?.split(',').includes(name) ?? true;
}

/** INSTANT_SIZES=192,1024 takes some of them; 0 none. */
function wantedSizes(quick: boolean): readonly Size[] {
  const named = process.env['INSTANT_SIZES']?.split(',').map(Number);
  if (named !== undefined) return SIZES.filter((size) => named.includes(size.mebibytes));
  if (!isWanted('restores')) return [];
  return quick ? SIZES.slice(0, 2) : SIZES;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
