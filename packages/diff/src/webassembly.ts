// Node has WebAssembly, its types come only with a browser's: this is the part that is used here.

/** A shared WebAssembly memory. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

interface Namespace {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => SharedMemory;
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: SharedMemory } },
  ) => { readonly exports: unknown };
}

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: Namespace }).WebAssembly;
