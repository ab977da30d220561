import { kernelBase64 } from './generated/kernel.js';
import type { Kernel } from './kernel.js';
import { webAssembly, type SharedMemory } from './webassembly.js';

interface KernelExports {
  diffSlots(from: number, to: number): number;
  zeroPages(from: number, to: number, unplacedOnly: number): void;
  clearPending(): number;
  classify(block: number, count: number, wholeAbove: number): number;
  words(block: number, from: number, count: number): number;
}

let compiled: object | undefined;

/** The kernel in WebAssembly SIMD over a shard's memory; compiled once a thread. */
export function createWasmKernel(memory: SharedMemory): Kernel {
  compiled ??= new webAssembly.Module(Buffer.from(kernelBase64, 'base64'));
  const instance = new webAssembly.Instance(compiled, { env: { memory } });
  const kernel = instance.exports as KernelExports;
  return {
    diffSlots: (from, to) => kernel.diffSlots(from, to),
    zeroPages: (from, to, unplacedOnly) => kernel.zeroPages(from, to, unplacedOnly ? 1 : 0),
    clearPending: () => kernel.clearPending(),
    gather: {
      classify: (block, count, wholeAbove) => kernel.classify(block, count, wholeAbove),
      words: (block, from, count) => kernel.words(block, from, count),
    },
  };
}
