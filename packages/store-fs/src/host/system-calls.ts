/** System calls that Node does not have. Nothing is loaded before one is needed, which most places never need. */
interface LibC {
  readonly renameat2: AsyncCall;
  readonly syncfs: AsyncCall;
}

interface AsyncCall {
  readonly async: (...values: unknown[]) => void;
}

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;

let libc: Promise<LibC | undefined> | undefined;

async function bind(): Promise<LibC | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load('libc.so.6');
    return {
      renameat2: library.func(
        'int renameat2(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned int flags)',
      ) as unknown as AsyncCall,
      syncfs: library.func('int syncfs(int descriptor)') as unknown as AsyncCall,
    };
  } catch {
    return undefined;
  }
}

/** In a thread of its own, so that a distant disk blocks nobody. Whether it succeeded. */
async function call(name: keyof LibC, ...values: unknown[]): Promise<boolean> {
  const bound = await (libc ??= bind());
  if (!bound) return false;
  return new Promise((resolve) => {
    bound[name].async(...values, (error: unknown, result: number) => resolve(!error && result === 0));
  });
}

/** rename(2) with RENAME_NOREPLACE. EEXIST when the name is taken, ENOTSUP for all else. */
export async function renameIfAbsent(from: string, to: string): Promise<void> {
  if (await call('renameat2', AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return;
  // errno belongs to the thread that made the call: a look tells the two cases apart.
  const { access } = await import('node:fs/promises');
  const taken = await access(to).then(
    () => true,
    () => false,
  );
  const code = taken ? 'EEXIST' : 'ENOTSUP';
  throw Object.assign(new Error(`${code}: renameat2 '${from}' -> '${to}'`), { code });
}

/** Makes all of a file system durable that has this file open: syncfs(2). Whether it could. */
export function syncFileSystemOf(descriptor: number): Promise<boolean> {
  return call('syncfs', descriptor);
}
