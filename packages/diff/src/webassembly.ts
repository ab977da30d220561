// Node has WebAssembly, its types come only with a browser's: this is the part that is used here.

/** A shared WebAssembly memory. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** The memory of one thread. */
export interface PlainMemory {
  readonly buffer: ArrayBuffer;
}

interface MemoryConstructor {
  new (size: { initial: number; maximum: number; shared: true }): SharedMemory;
  new (size: { initial: number; maximum: number }): PlainMemory;
}

interface Namespace {
  readonly Memory: MemoryConstructor;
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: SharedMemory | PlainMemory } },
  ) => { readonly exports: unknown };
}

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: Namespace }).WebAssembly;
