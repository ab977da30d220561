import { readdir, readFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { createEngine, thin } from '@fitdoc/engine';
import { expect, it } from 'vitest';
import { setUp, takeMany } from './support.js';

/** The priorities of this process's threads (proc(5), /proc/PID/stat, field 19), by thread. */
async function priorities(): Promise<Map<string, number>> {
  const threads = await readdir('/proc/self/task');
  const read = async (thread: string): Promise<[string, number]> => {
    const stat = await readFile(`/proc/self/task/${thread}/stat`, 'latin1').catch(() => '');
    return [thread, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])];
  };
  return new Map(await Promise.all(threads.map(read)));
}

const own = getPriority();

it.skipIf(process.platform !== 'linux' || own >= 19)(
  'merges on a thread of lower priority while nobody waits for it, and on none while somebody does',
  async () => {
    const before = await priorities();
    const setup = await setUp('memory=2M&workload=kv&seed=9');
    const engine = createEngine({ workers: 2 });
    try {
      const protection = await engine.protect(setup.machine, setup.repository);
      const low = async () => [...(await priorities())].filter(([id, nice]) => nice > own && !before.has(id));
      const merged = async (isUrgent: boolean) => {
        await takeMany(protection, 12, setup.hash);
        const options = { isUrgent: () => isUrgent };
        const { merges } = await thin(
          engine,
          setup.repository,
          setup.machine.info.id,
          { keepLast: 3 },
          options,
        );
        expect(merges).toBeGreaterThan(0);
      };
      await merged(true);
      expect(await low()).toEqual([]);
      await merged(false);
      expect(await low()).toHaveLength(1);
      expect((await priorities()).get(String(process.pid))).toBe(own);
      await protection.end();
    } finally {
      await engine.close();
      await setup.close();
    }
  },
);
