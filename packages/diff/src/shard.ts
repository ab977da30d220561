import { FitdocError, MASK_SIZE, PAGE_SIZE } from '@fitdoc/interface';
import { testBit } from './bits.js';
import { Residency } from './cold/residency.js';
import { CONTROL, CONTROL_OFFSET, LAYOUT_VERSION, layoutOf, type Layout } from './layout.js';
import type { Kernel } from './kernel.js';
import { TwinKernel } from './twin.js';
import { webAssembly, type SharedMemory } from './webassembly.js';
import { createWasmKernel } from './wasm-kernel.js';

/** Which implementation of the hot loops to use. `typescript` is slow and exists to check the other. */
export type KernelKind = 'wasm' | 'typescript';

/** A shard as it travels to another thread. */
export interface ShardHandle {
  readonly id: string;
  readonly memory: SharedMemory;
  /** The image's number for the shard's first page. */
  readonly firstGfn: number;
  readonly kernel: KernelKind;
  /** Where the content of its pages is; see `Residency`. */
  readonly residency: SharedArrayBuffer;
}

/** One shared memory that holds a part of an image, with typed views of its parts. */
export class Shard {
  readonly layout: Layout;
  readonly control: Uint32Array;
  readonly changedWords: BigUint64Array;
  readonly touched: Int32Array;
  readonly zero: Int32Array;
  readonly pending: Int32Array;
  readonly placed: Int32Array;
  readonly changed: Int32Array;
  readonly staged: Int32Array;
  readonly slotOf: Uint32Array;
  readonly slotPage: Uint32Array;
  readonly masks: Uint8Array;
  readonly image: Uint8Array;
  readonly slots: Uint8Array;
  readonly buffer: SharedArrayBuffer;
  readonly kernel: Kernel;
  readonly residency: Residency;

  constructor(
    readonly handle: ShardHandle,
    layout: Layout,
  ) {
    this.layout = layout;
    const buffer = handle.memory.buffer;
    this.buffer = buffer;
    this.control = new Uint32Array(buffer, CONTROL_OFFSET, 64);
    this.changedWords = new BigUint64Array(buffer, CONTROL_OFFSET + CONTROL.changedWords * 4, 1);
    const bitmap = (offset: number) => new Int32Array(buffer, offset, layout.bitmapWords);
    this.touched = bitmap(layout.touched);
    this.zero = bitmap(layout.zero);
    this.pending = bitmap(layout.pending);
    this.placed = bitmap(layout.placed);
    this.changed = bitmap(layout.changed);
    this.staged = bitmap(layout.staged);
    this.slotOf = new Uint32Array(buffer, layout.slotOf, layout.pages);
    this.slotPage = new Uint32Array(buffer, layout.slotPage, layout.slotCount);
    this.masks = new Uint8Array(buffer, layout.masks, layout.pages * MASK_SIZE);
    this.image = new Uint8Array(buffer, layout.image, layout.pages * PAGE_SIZE);
    this.slots = new Uint8Array(buffer, layout.slots, layout.slotCount * PAGE_SIZE);
    this.kernel = handle.kernel === 'wasm' ? createWasmKernel(handle.memory) : new TwinKernel(buffer, layout);
    this.residency = new Residency(handle.residency, layout.pages);
  }

  /** Makes a new shard, all zero. Errors: MEMORY_BUDGET when the host refuses the address space. */
  static create(pages: number, slotCount: number, own: Omit<ShardHandle, 'memory' | 'residency'>): Shard {
    const layout = layoutOf(pages, slotCount);
    const memory = allocate(layout.bytes);
    const control = new Uint32Array(memory.buffer, CONTROL_OFFSET, 64);
    control[CONTROL.version] = LAYOUT_VERSION;
    control[CONTROL.pages] = pages;
    control[CONTROL.slotCount] = slotCount;
    const parts = [
      'touched',
      'zero',
      'pending',
      'placed',
      'changed',
      'staged',
      'slotOf',
      'masks',
      'slotPage',
      'blocks',
      'image',
      'slots',
    ] as const;
    for (const part of parts) control[CONTROL[part]] = layout[part];
    const residency = Residency.create(pages).buffer;
    return remember(new Shard({ ...own, memory, residency }, layout));
  }

  /** The shard behind a handle that came from another thread. Cheap when this thread attached it before. */
  static attach(handle: ShardHandle): Shard {
    const known = attached.get(handle.id)?.deref();
    if (known) return known;
    const control = new Uint32Array(handle.memory.buffer, CONTROL_OFFSET, 64);
    if (control[CONTROL.version] !== LAYOUT_VERSION) {
      throw new FitdocError('ARGUMENT_INVALID', 'The handle is not one of a memory image of this version.', {
        hint: 'Use the same version of @fitdoc/diff in all threads.',
      });
    }
    const layout = layoutOf(control[CONTROL.pages] ?? 0, control[CONTROL.slotCount] ?? 0);
    return remember(new Shard(handle, layout));
  }

  /** Whether the page's image is known to be all zero without looking at it. */
  isKnownZero(page: number): boolean {
    return !testBit(this.touched, page) || testBit(this.zero, page);
  }
}

// Weak: a thread that once worked on an image must not keep its gigabytes alive.
const attached = new Map<string, WeakRef<Shard>>();
const forget = new FinalizationRegistry<string>((id) => {
  if (attached.get(id)?.deref() === undefined) attached.delete(id);
});

function remember(shard: Shard): Shard {
  attached.set(shard.handle.id, new WeakRef(shard));
  forget.register(shard, shard.handle.id);
  return shard;
}

function allocate(bytes: number): SharedMemory {
  const wasmPages = bytes / 65536;
  try {
    return new webAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
  } catch (cause) {
    throw new FitdocError('MEMORY_BUDGET', `The host refused ${bytes} bytes of address space for an image.`, {
      cause,
      hint: 'Free memory, raise the process limits (ulimit -v) or lower shardPages.',
    });
  }
}
