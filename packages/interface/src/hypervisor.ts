import type { CallOptions, Json } from './call.js';
import type { Gfn, MemoryRegion } from './memory.js';

/** A disk of a machine, recorded with a checkpoint and shown on restore. */
export interface DiskInfo {
  readonly name: string;
  readonly writable: boolean;
  /** Path or URI of what backs it, as the hypervisor told. */
  readonly source?: string;
  readonly format?: string;
  readonly sizeBytes?: number;
}

/** What a machine is, as recorded in every checkpoint and checked by a restore. */
export interface MachineInfo {
  /** Identity across restarts of the guest's host process; names the chain. 1-64 of `A-Z a-z 0-9 . _ -`. */
  readonly id: string;
  /** Name for people. */
  readonly name: string;
  /** The hypervisor's product and version: `qemu 7.2.22`, `xen 4.17`, `mock`. */
  readonly hypervisor: string;
  /** The scheme of the adapter that captured it and can restore it. */
  readonly scheme: string;
  readonly architecture: 'x86_64' | 'aarch64' | 'riscv64';
  readonly regions: readonly MemoryRegion[];
  /** What a restore compares before it touches anything: machine type, devices, CPU model. */
  readonly platform: Readonly<Record<string, Json>>;
  readonly disks: readonly DiskInfo[];
}

/** A named part of the device state, opaque to everything but the adapter that captured it. */
export interface DeviceState {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Where a capture puts pages: memory that the engine lends. Calls are synchronous and made by one capture at
 * a time. A page placed twice counts as placed last. A gfn beyond the machine's pages: ARGUMENT_INVALID.
 */
export interface PageSink {
  /**
   * Asks that `pages` further pages can be lent without any earlier loan ending. True: every view lent until
   * then stays valid until the capture's end. False: the sink has less room, and the rule of `place` holds.
   */
  reserve(pages: number): boolean;
  /**
   * Lends memory for up to `count` consecutive pages from `gfn`: the result is k × 4096 bytes, 1 ≤ k ≤ count;
   * call again for the rest. Its contents are undefined. The bytes must be there before the next call of
   * `place` or `zero`, or, after a successful `reserve`, before the capture resolves.
   */
  place(gfn: Gfn, count: number): Uint8Array;
  /** Says that `count` pages from `gfn` are all zero. */
  zero(gfn: Gfn, count: number): void;
}

/** How a capture's time inside the pause was spent, milliseconds a step; the steps are the adapter's own. */
export type PausePhases = Readonly<Record<string, number>>;

/**
 * What a capture got, until the engine says what became of it. Exactly one of `commit` and `rollback` is
 * called, once, before the next capture.
 */
export interface Harvest {
  /**
   * `full`: every page of the machine was placed, or is zero. `increment`: every page that was written since
   * the last committed harvest was placed (more may be).
   */
  readonly kind: 'full' | 'increment';
  /** Milliseconds in which the vCPUs stood still. */
  readonly pauseMs: number;
  readonly pausePhases: PausePhases;
  /** When the vCPUs stopped: the moment that this capture shows, milliseconds since 1970. */
  readonly capturedAtMs: number;
  /** All of the device state, never a part. */
  readonly deviceState: readonly DeviceState[];
  /** What the adapter wants people to know of this capture ("fell back to ..."). */
  readonly notes: readonly string[];
  /** The checkpoint is durable: forget the harvested dirty pages. */
  commit(): Promise<void>;
  /**
   * The checkpoint was not stored. The engine keeps the pages that reached the sink, so the adapter must
   * redeliver only pages that it had not placed; to redeliver more is harmless.
   */
  rollback(): Promise<void>;
}

export interface CaptureOptions extends CallOptions {
  /** Place every page, whatever the dirty log says. Default false. */
  readonly full?: boolean;
}

/** What an attached machine can do. Frozen. */
export interface MachineSupports {
  /** False: every capture is `full`, and costs time that grows with the memory. */
  readonly increments: boolean;
  /** False: captures come at the pace that the attach options set, and `capture` waits for the next. */
  readonly onDemand: boolean;
  /** Why something is missing, for people; one sentence a point. */
  readonly limits: readonly string[];
}

/** A running machine that fitdoc is attached to. */
export interface Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  /** Aborted, with a FitdocError as its reason, when the machine is gone and no capture can succeed again. */
  readonly gone: AbortSignal;

  /**
   * Captures the machine as it is at one moment. Requires that no capture is under way and that the last
   * harvest was committed or rolled back, else MACHINE_BUSY. The first capture after an attach is `full`
   * unless the adapter knows better.
   * When it resolves the guest runs, and all pages are in the sink.
   * On failure or abort the guest runs, unless the code is MACHINE_PAUSED (then the hint says how to resume
   * it), and no dirty page is forgotten: the next capture delivers what this one did not.
   */
  capture(sink: PageSink, options?: CaptureOptions): Promise<Harvest>;

  /**
   * Ends the attachment and leaves the guest running, as if it had never been. Idempotent. A capture under
   * way is aborted first.
   */
  detach(options?: CallOptions): Promise<void>;
}

export interface AttachOptions extends CallOptions {
  /**
   * What to do with a guest that has writable disks, which a checkpoint of memory does not hold.
   * `refuse` (the default): MACHINE_HAS_DISKS. `external`: the user keeps the disks consistent.
   */
  readonly disks?: 'refuse' | 'external';
  /** Overrides the identity that the adapter finds. */
  readonly machineId?: string;
  /** Milliseconds between captures, for adapters whose hypervisor sets the pace. */
  readonly intervalMs?: number;
  /** Adapter-specific settings, documented by the adapter. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Consecutive pages to restore: bytes.length is a multiple of 4096. */
export interface PageExtent {
  readonly gfn: Gfn;
  readonly bytes: Uint8Array;
}

/** A checkpoint as an adapter sees it when it restores. */
export interface RestoreSource {
  readonly info: MachineInfo;
  readonly deviceState: readonly DeviceState[];
  /**
   * All pages that are not zero, in ascending gfn order, verified. May be called more than once; each extent's
   * bytes are valid until the next is asked for. `regions` limits it to the named ones.
   */
  pages(options?: CallOptions & { readonly regions?: readonly string[] }): AsyncIterable<PageExtent>;
}

export interface RestoreOptions extends CallOptions {
  /** Adapter-specific settings, documented by the adapter. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface RestoreReport {
  /** Whether the guest runs, or waits for the operator to let it. */
  readonly state: 'running' | 'paused' | 'written';
  readonly pages: number;
  /** What people should know: disks to attach, clocks that jumped. */
  readonly notes: readonly string[];
}

export interface HypervisorSupports {
  readonly attach: boolean;
  readonly restore: boolean;
}

/** What a hypervisor package exports as `hypervisor`. */
export interface Hypervisor {
  readonly specificationVersion: 'hypervisor-v1';
  /** The part before the colon in `scheme:location`. */
  readonly scheme: string;
  readonly supports: HypervisorSupports;
  /**
   * Attaches to a running machine. Errors: LOCATION_INVALID, MACHINE_NOT_FOUND, MACHINE_HAS_DISKS,
   * MACHINE_BUSY (someone else migrates or protects it), CAPABILITY_MISSING, PROTOCOL_ERROR. On failure the
   * guest runs as before.
   */
  attach(location: string, options?: AttachOptions): Promise<Machine>;
  /**
   * Brings a machine back at `location` (a waiting hypervisor, or a file where the adapter says so). Checks
   * that the target fits before it reads a page or changes anything; a mismatch is MACHINE_INCOMPATIBLE and
   * names what differs. Errors besides: RESTORE_FAILED, LOCATION_INVALID, MACHINE_NOT_FOUND.
   */
  restore(location: string, source: RestoreSource, options?: RestoreOptions): Promise<RestoreReport>;
}
