import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const BITS = 262_144;
const WASM_PAGE = 65_536;

type Scan = (address: number, words: number) => number;

interface ContenderKernel {
  readonly perPage: Scan;
  readonly wordSkip: Scan;
  readonly ctzPages: Scan;
  readonly ctzRuns: Scan;
}

/** Each scans all of its bitmaps and returns how many pages (or runs) it found. */
export type ScanContenders = Readonly<Record<keyof ContenderKernel, () => number>>;

interface WebAssemblyNamespace {
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => {
    readonly buffer: SharedArrayBuffer;
  };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;

/** Compiles the contenders, with the same compiler and options as the packages' kernels. */
export async function compileContenders(directory: string): Promise<object> {
  const here = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
  const output = path.join(directory, 'contenders.ts');
  await promisify(execFile)(process.execPath, [
    here('../../../kernel/src/main.mjs'),
    here('../../assembly/scan.ts'),
    output,
  ]);
  const { kernelBase64 } = (await import(pathToFileURL(output).href)) as { kernelBase64: string };
  return new webAssembly.Module(Buffer.from(kernelBase64, 'base64'));
}

/** The contenders over copies of bitmaps of equal size, in whole words. */
export function createContenders(module: object, bitmaps: readonly Uint8Array[]): ScanContenders {
  const length = bitmaps[0]?.length ?? 0;
  const size = Math.ceil((BITS + length * bitmaps.length) / WASM_PAGE);
  const memory = new webAssembly.Memory({ initial: size, maximum: size, shared: true });
  bitmaps.forEach((bitmap, i) => new Uint8Array(memory.buffer, BITS + i * length, length).set(bitmap));
  const kernel = new webAssembly.Instance(module, { env: { memory } }).exports as ContenderKernel;
  const all = (scan: Scan) => (): number => {
    let found = 0;
    for (let i = 0; i < bitmaps.length; i++) found += scan(BITS + i * length, length / 8);
    return found;
  };
  return {
    perPage: all(kernel.perPage),
    wordSkip: all(kernel.wordSkip),
    ctzPages: all(kernel.ctzPages),
    ctzRuns: all(kernel.ctzRuns),
  };
}
