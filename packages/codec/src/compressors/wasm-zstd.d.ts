// The Emscripten module inside @foxglove/wasm-zstd, which the package's own types leave out.
declare module '@foxglove/wasm-zstd/dist/wasm-zstd.js' {
  export interface ZstdModule {
    /** Replaced when the memory grows. */
    readonly HEAPU8: Uint8Array;
    readonly ready: Promise<unknown>;
    _malloc(size: number): number;
    _free(pointer: number): void;
    _compressBound(size: number): number;
    /** Gives the bytes written to `to`, or -1. */
    _compress(to: number, capacity: number, from: number, size: number, level: number): number;
    _decompress(to: number, capacity: number, from: number, size: number): number;
  }
  export default function createModule(): Promise<ZstdModule>;
}
