import type { QmpClient } from '../qmp/client.js';
import { fewAtOnce } from '../qmp/few-at-once.js';

/** An object of a machine. */
export interface Part {
  /** Of the object tree: `/machine/peripheral/net0`. */
  readonly path: string;
  readonly type: string;
}

const ROOT = '/machine';
/** Objects that no stream knows of, and that have no parts themselves. */
const NO_DEVICES = /^(irq|IRQ|.*memory-region)$/;

/** All of a machine's devices, and what contains them. */
export async function readParts(qmp: QmpClient, signal?: AbortSignal): Promise<Part[]> {
  return (await readTree(qmp, signal)) ?? walk(qmp, signal);
}

/**
 * One question to QEMU's human monitor, `info qom-tree`, in place of one for each object. Undefined where the answer is
 * not as it is known: the monitor's texts are no interface.
 */
export async function readTree(qmp: QmpClient, signal?: AbortSignal): Promise<Part[] | undefined> {
  const line = { 'command-line': `info qom-tree ${ROOT}` };
  const text = await qmp.execute('human-monitor-command', line, { signal }).catch((error: unknown) => {
    if (signal?.aborted === true || qmp.closed.aborted) throw error;
    return undefined;
  });
  return typeof text === 'string' ? partsIn(text) : undefined;
}

/** The parts in a text of `info qom-tree`, whose lines are `  /name (type)`, two blanks for each level. */
export function partsIn(text: string): Part[] | undefined {
  const [root, ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  if (root?.startsWith(`${ROOT} (`) !== true || lines.length === 0) return undefined;
  const parts: Part[] = [];
  const above: string[] = [ROOT];
  for (const line of lines) {
    const [, blanks, name, type] = /^((?: {2})+)(\/.+) \(([^()]+)\)$/.exec(line) ?? [];
    const parent = blanks === undefined ? undefined : above[blanks.length / 2 - 1];
    if (blanks === undefined || parent === undefined) return undefined;
    above.splice(blanks.length / 2, Infinity, `${parent}${name!}`);
    if (!NO_DEVICES.test(type!)) parts.push({ path: `${parent}${name!}`, type: type! });
  }
  return parts;
}

/** Asks each object for those below it. */
export async function walk(qmp: QmpClient, signal?: AbortSignal): Promise<Part[]> {
  const parts: Part[] = [];
  const look = async (path: string): Promise<string[]> => {
    const below = await qmp.execute<readonly { name: string; type: string }[]>(
      'qom-list',
      { path },
      { signal },
    );
    const found = below.flatMap(({ name, type }): Part[] => {
      const child = /^child<(.+)>$/.exec(type)?.[1];
      return child === undefined || NO_DEVICES.test(child) ? [] : [{ path: `${path}/${name}`, type: child }];
    });
    parts.push(...found);
    return found.map((part) => part.path);
  };
  for (let level = [ROOT]; level.length > 0;) level = (await fewAtOnce(level, look)).flat();
  return parts;
}
