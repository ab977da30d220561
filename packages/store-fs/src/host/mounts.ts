import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FitdocError } from '@fitdoc/interface';

/** The second field of each line: what /etc/fstab mounts somewhere, and the fifth of what is mounted now. */
async function mountPoints(file: string, field: number): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.trim().split(/\s+/)[field - 1] ?? [])
    .filter((point) => point.startsWith('/'))
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8))),
    );
}

/** The path with no symbolic links in what there is of it. */
async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await resolved(parent), path.slice(parent.length));
  }
}

function deepestAbove(path: string, points: readonly string[]): string {
  const above = points.filter((point) => point === '/' || path === point || path.startsWith(`${point}/`));
  return above.reduce((deepest, point) => (point.length > deepest.length ? point : deepest), '/');
}

/** The mount point of /etc/fstab that the path is meant to be on, when nothing is mounted there. */
export async function unmountedPoint(root: string): Promise<string | undefined> {
  const wanted = await mountPoints('/etc/fstab', 2);
  if (wanted.length === 0) return undefined;
  const path = await resolved(root);
  const meant = deepestAbove(path, wanted);
  if (meant === '/') return undefined;
  const mounted = deepestAbove(path, await mountPoints('/proc/self/mountinfo', 5));
  return mounted.length >= meant.length ? undefined : meant;
}

/**
 * Refuses a place that is on no mounted file system of its own. `point` is the mount point that it must be on;
 * `true` is any but the root's. STORE_UNAVAILABLE, retryable.
 */
export async function requireMount(root: string, point: string | true): Promise<void> {
  const path = await resolved(root);
  const mounted = deepestAbove(path, await mountPoints('/proc/self/mountinfo', 5));
  const fits = point === true ? mounted !== '/' : mounted.length >= (await resolved(point)).length;
  if (fits && (point === true || deepestAbove(path, [await resolved(point)]) !== '/')) return;
  throw notMounted(root, point === true ? 'a file system' : point);
}

export function notMounted(root: string, point: string): FitdocError {
  return new FitdocError('STORE_UNAVAILABLE', `${root} is to be on ${point}, which is not mounted.`, {
    retryable: true,
    hint: 'Mount it. Nothing was written to the disk below it.',
    details: { place: 'missing', mountPoint: point },
  });
}

/** Whether others than the owner and its group can read what is there, as octal mode. */
export async function openToAll(root: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  const modeOf = (path: string): Promise<number> => stat(path).then(({ mode }) => mode & 0o777);
  const mode = await modeOf(root).catch(() => 0);
  if ((mode & 0o005) !== 0o005) return undefined;
  // A place of others with a repository that is its owner's alone is as it should be.
  const inner = await modeOf(join(root, 'machines')).catch(() => 0);
  return (inner & 0o005) === 0o005 ? inner.toString(8) : undefined;
}
