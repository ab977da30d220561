import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the control group of this process, or one around it, lets it have. */
export interface GroupMemory {
  /** The group that sets the limit, as its path below the hierarchy. */
  readonly group: string;
  /** Bytes. */
  readonly limit: number;
  /** Bytes in use that the system could not take back: without caches of files. */
  readonly used: number;
}

interface Hierarchy {
  readonly root: string;
  readonly limit: string;
  readonly usage: string;
}

const V2: Hierarchy = { root: '/sys/fs/cgroup', limit: 'memory.max', usage: 'memory.current' };
const HYBRID: Hierarchy = { ...V2, root: '/sys/fs/cgroup/unified' };
const V1: Hierarchy = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
};

/** A number this large is how version 1 says that there is no limit. */
const NO_LIMIT = 2 ** 60;

/** The tightest limit around this process; undefined when there is none, or no control groups. */
export function groupMemory(): GroupMemory | undefined {
  const lines = (text('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'));
  const unified = lines.find(([, controllers]) => controllers === '')?.[2];
  const memory = lines.find(([, controllers]) => controllers?.split(',').includes('memory'))?.[2];
  const found = [
    ...(unified === undefined ? [] : [...limitsAbove(V2, unified), ...limitsAbove(HYBRID, unified)]),
    ...(memory === undefined ? [] : limitsAbove(V1, memory)),
  ];
  return found.sort((a, b) => a.limit - a.used - (b.limit - b.used))[0];
}

function limitsAbove({ root, limit, usage }: Hierarchy, own: string): GroupMemory[] {
  const found: GroupMemory[] = [];
  const parts = own.split('/').filter((part) => part !== '');
  for (let depth = parts.length; depth >= 0; depth--) {
    const group = `/${parts.slice(0, depth).join('/')}`;
    const folder = join(root, group);
    const bytes = Number(text(join(folder, limit)) ?? Number.NaN);
    if (!(bytes < NO_LIMIT)) continue;
    const used = Number(text(join(folder, usage)) ?? 0);
    found.push({ group, limit: bytes, used: Math.max(0, used - fileCache(folder)) });
  }
  return found;
}

function fileCache(folder: string): number {
  const stat = text(join(folder, 'memory.stat')) ?? '';
  const value = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  const total = value('total_inactive_file') + value('total_active_file');
  return total > 0 ? total : value('inactive_file') + value('active_file');
}

function text(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
