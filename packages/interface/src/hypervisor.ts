import type { CallOptions } from './call.js';
import type { DiskSource, HarvestDisk } from './disk.js';
import type { FitdocError } from './errors.js';
import type { FindMachinesOptions, FoundMachine } from './machines.js';
import type { Launcher } from './launch.js';
import type { MachineInfo } from './machine-info.js';
import type { Gfn, PageRun } from './memory.js';
import type { PauseBudget, PauseBudgetOutcome } from './pause-budget.js';
import type { PauseTask } from './pause-task.js';
import type { Quiesce, QuiesceOutcome } from './quiesce.js';

/** A named part of the device state, opaque to everything but the adapter that captured it. */
export interface DeviceState {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Shared memory for pages whose numbers are not known yet: whole pages in a row. */
export interface LentArea {
  /** The first of the gfns that the area is for. */
  readonly firstGfn: Gfn;
  /** How many gfns from there it is for; the next area's go on there. */
  readonly gfnCount: number;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
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
   * As `reserve`, for the time before a pause: has what came so far compared and gives memory back where that takes it,
   * which takes its time. Ends every earlier loan. False: there is no memory for so many; a capture whose pause would bring
   * them does not begin it. A sink without it can do no more than `reserve` tells.
   */
  prepare?(pages: number): Promise<boolean>;
  /**
   * Lends memory for up to `count` consecutive pages from `gfn`: the result is k × 4096 bytes, 1 ≤ k ≤ count;
   * call again for the rest. Its contents are undefined. The bytes must be there before the next call of
   * `place` or `zero`, or, after a successful `reserve`, before the capture resolves.
   */
  place(gfn: Gfn, count: number): Uint8Array;
  /** Says that `count` pages from `gfn` are all zero. */
  zero(gfn: Gfn, count: number): void;
  /**
   * Lends shared memory for about `pages` pages of any gfn, so that another thread can fill it while this one
   * does something else: areas that between them are for every gfn, each with room for at least one page. May
   * be called again before the first loan ends. Each area is given back by one call of `landed`; what is not
   * ends with the capture, so nobody may write there once it has settled. Errors: MEMORY_BUDGET (everything is
   * lent already). A sink without it has no memory to share.
   */
  lend?(pages: number): readonly LentArea[];
  /** Gives an area back: its first pages hold, in this order, `gfns`. Required with `lend`. */
  landed?(area: LentArea, gfns: Uint32Array): void;
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
  /** What became of the budget that the capture was given, where `supports.pauseBudget` says that it is heeded. */
  readonly pauseBudget?: PauseBudgetOutcome;
  /** What became of the wish to have file systems frozen. */
  readonly quiesced?: QuiesceOutcome;
  /** When the vCPUs stopped: the moment that this capture shows, milliseconds since 1970. */
  readonly capturedAtMs: number;
  /** All of the device state, never a part. */
  readonly deviceState: readonly DeviceState[];
  /** The machine's disks as they were at that moment, where `supports.disks` says that they come. */
  readonly disks?: readonly HarvestDisk[];
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
  /** Place every page and bring every disk in full, whatever the dirty log says. Default false. */
  readonly full?: boolean;
  /**
   * What the caller holds of disks, by name: the `moment` of a harvest that was stored, by whatever attachment. An
   * adapter that knows for certain what was written to a disk since then may bring it as an increment to that, though
   * this attachment has committed nothing yet. Of a disk that it has, it goes by what was committed.
   */
  readonly diskMoments?: ReadonlyMap<string, string>;
  /** Heeded where `supports.pauseBudget` says so. */
  readonly pauseBudget?: PauseBudget;
  /** Done while the guest stands, where `supports.pauseTask` says so. */
  readonly pauseTask?: PauseTask;
  /** Heeded where `supports.quiesce` says so. */
  readonly quiesce?: Quiesce;
}

/** What an attached machine can do. Frozen. */
export interface MachineSupports {
  /** False: every capture is `full`, and costs time that grows with the memory. */
  readonly increments: boolean;
  /** False: captures come at the pace that the attach options set, and `capture` waits for the next. */
  readonly onDemand: boolean;
  /** True: a capture's `pauseBudget` is heeded. Default false. */
  readonly pauseBudget?: boolean;
  /** True: a capture's `pauseTask` is done. Default false. */
  readonly pauseTask?: boolean;
  /** True: a capture's `quiesce` is heeded. Default false. */
  readonly quiesce?: boolean;
  /** True: harvests bring the machine's writable disks, but those that are left out. Default false. */
  readonly disks?: boolean;
  /** Why something is missing, for people; one sentence a point. */
  readonly limits: readonly string[];
}

export interface DetachOptions extends CallOptions {
  /** Told what people should know of how the guest was left, a sentence at a time. */
  readonly onNote?: (text: string) => void;
}

/** A running machine that fitdoc is attached to. */
export interface Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  /**
   * Aborted, with a FitdocError as its reason, when the machine is gone and no capture can succeed again. The
   * reason's detail `ended` is true where that is no failure: the guest powered off.
   */
  readonly gone: AbortSignal;

  /**
   * Why the guest stands now, by its operator's doing or its own: the MACHINE_NOT_RUNNING with which `capture`
   * would reject. Undefined while it runs. Its detail `state` is the hypervisor's word for it, and `ended` is
   * true when the guest powered off. Asking costs the guest nothing. Without it, `capture` alone tells.
   */
  standing?(options?: CallOptions): Promise<FitdocError | undefined>;

  /**
   * Captures the machine as it is at one moment. Requires that no capture is under way and that the last
   * harvest was committed or rolled back, else MACHINE_BUSY. The first capture after an attach is `full`
   * unless the adapter knows better.
   * When it resolves the guest runs, and all pages are in the sink.
   * A guest that stands by its operator's doing or its own is left as it is: MACHINE_NOT_RUNNING, and once it
   * runs again the next capture goes on from the last.
   * On other failures or abort the guest runs, unless the code is MACHINE_PAUSED (then the hint says how to resume
   * it), and no dirty page is forgotten: the next capture delivers what this one did not.
   */
  capture(sink: PageSink, options?: CaptureOptions): Promise<Harvest>;

  /**
   * Ends the attachment and leaves the guest as if it had never been: running, or standing where its operator
   * or its own doing made it stand. Idempotent. A capture under way is aborted first. The hypervisor may keep what the
   * guest does not notice and a later attachment goes on by: `Hypervisor.clean` removes it.
   */
  detach(options?: DetachOptions): Promise<void>;
}

export interface AttachOptions extends CallOptions {
  /**
   * What to do with writable disks. `capture`: they become part of each checkpoint; CAPABILITY_MISSING where the
   * adapter cannot. `external`: the user keeps them consistent. `refuse`: MACHINE_HAS_DISKS.
   * Default: `capture` where it can be had, else `refuse`.
   */
  readonly disks?: 'capture' | 'external' | 'refuse';
  /** Disks that checkpoints leave out, by name. ARGUMENT_INVALID for one that is not there. */
  readonly leaveOutDisks?: readonly string[];
  /** Overrides the identity that the adapter finds. */
  readonly machineId?: string;
  /**
   * Attach to a guest that stands, too, by its operator's doing or its own, where the adapter can capture one: it is
   * captured as it stands, once, and left standing. Without it, or where that cannot be had: MACHINE_NOT_RUNNING.
   */
  readonly standing?: boolean;
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

/**
 * A checkpoint's pages in any order: what serves a guest that runs already. Calls may be many at a time; what lies
 * near a page that was read comes without reading much again.
 */
export interface RandomPages {
  /** Ascending and disjoint: every page outside of them is zero. Known without reading a page. */
  readonly stored: readonly PageRun[];
  /**
   * The pages among `count` from `gfn` that are not zero, ascending, verified; their bytes stay valid. Errors:
   * ARGUMENT_INVALID (beyond the machine's pages), FORMAT_*, CODEC_*, STORE_*: then no byte is handed over, and other
   * pages may still be read.
   */
  read(gfn: Gfn, count: number, options?: CallOptions): Promise<readonly PageExtent[]>;
  /** Runs of pages that were written last before the checkpoint, newest first: `count` pages or a few more. */
  recent(count: number, options?: CallOptions): Promise<readonly PageRun[]>;
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
  /** The same pages in any order, where the source can; valid for as long as the restore that it is given to. */
  readonly random?: RandomPages;
  /** The disks that the checkpoint holds. */
  readonly disks?: readonly DiskSource[];
}

export interface RestoreOptions extends CallOptions {
  /** Whether a file at the target may be replaced. Default false: ARGUMENT_INVALID where there is one. */
  readonly replace?: boolean;
  /** Adapter-specific settings, documented by the adapter. */
  readonly config?: Readonly<Record<string, unknown>>;
  /**
   * A file of main memory, made by `exportRaw` of the engine, that the target maps privately already: it is not sent.
   * CONFIG_INVALID where the adapter cannot.
   */
  readonly memoryFile?: string;
  /**
   * The same object for targets that one command started, but for their identity, and that this source is restored to
   * in the same way: what is asked of one of them, and read for it, may serve all. An adapter need not heed it.
   */
  readonly alike?: object;
  /** For a guest that runs before its memory is there: pages to send before others, the most urgent first. */
  readonly first?: readonly PageRun[];
  /**
   * Asked once a guest can run before its memory is there, and before anything is touched. What it gives is why the guest
   * shall not, in words that end a sentence; what it rejects with ends the restore.
   */
  readonly beforeLazy?: () => Promise<string | undefined>;
  /** Called once when the guest runs, or could, though not all of its memory is there yet. */
  readonly onRunning?: (state: 'running' | 'paused') => void;
  /** Called for what goes wrong while the guest runs already, and is tried again. */
  readonly onTrouble?: (error: FitdocError) => void;
}

/** How a restore went whose guest ran before its memory was there. */
export interface LazyReport {
  /** Milliseconds from the first byte sent until the guest ran; absent where it ran already. */
  readonly runningMs?: number;
  /** Milliseconds until all of its memory was there. */
  readonly sentMs: number;
  /** Pages that the guest waited for, and the milliseconds from its request to the answer. */
  readonly faults: number;
  readonly faultP50Ms: number;
  readonly faultP99Ms: number;
  /** Which pages those were, in this order; the first few thousand. */
  readonly asked: readonly Gfn[];
}

export interface RestoreReport {
  /** Whether the guest runs, or waits for the operator to let it. */
  readonly state: 'running' | 'paused' | 'written';
  readonly pages: number;
  /** What people should know: disks to attach, clocks that jumped. */
  readonly notes: readonly string[];
  /** Where the guest ran before its memory was there. */
  readonly lazy?: LazyReport;
}

export interface HypervisorSupports {
  readonly attach: boolean;
  readonly restore: boolean;
  /** True: `machines` lists what this host has. Default false. */
  readonly machines?: boolean;
  /** True: listing them asks none of them, and may be done as often as one likes. Default false. */
  readonly patterns?: boolean;
}

/** What a hypervisor package exports as `hypervisor`. */
export interface Hypervisor {
  readonly specificationVersion: 'hypervisor-v1';
  /** The part before the colon in `scheme:location`. */
  readonly scheme: string;
  readonly supports: HypervisorSupports;
  /**
   * Attaches to a running machine. Errors: LOCATION_INVALID, MACHINE_NOT_FOUND, MACHINE_HAS_DISKS,
   * MACHINE_BUSY (someone else migrates or protects it), MACHINE_NOT_RUNNING, CAPABILITY_MISSING,
   * PROTOCOL_ERROR. On failure the guest is as before.
   */
  attach(location: string, options?: AttachOptions): Promise<Machine>;
  /**
   * Brings a machine back at `location` (a waiting hypervisor, or a file where the adapter says so). Checks
   * that the target fits before it reads a page or changes anything; a mismatch is MACHINE_INCOMPATIBLE and
   * names what differs. Errors besides: ARGUMENT_INVALID (a file is there, see `replace`), RESTORE_FAILED, LOCATION_INVALID, MACHINE_NOT_FOUND.
   */
  restore(location: string, source: RestoreSource, options?: RestoreOptions): Promise<RestoreReport>;
  /**
   * Goes on with a restore whose guest runs already and whose process ended before all of its memory was there.
   * Errors: MACHINE_BUSY (nothing there waits for memory), MACHINE_INCOMPATIBLE (it was begun with another
   * checkpoint), those of `restore`. An adapter without it lets no guest run before its memory is there.
   */
  resume?(location: string, source: RestoreSource, options?: RestoreOptions): Promise<RestoreReport>;
  /**
   * Removes what detached attachments leave in a machine for later ones to go on by, which nothing is attached to now:
   * the next capture of its disks is full. Harmless where there is nothing. Errors: MACHINE_BUSY (a capture or migration
   * is under way), those of `attach` for its location. An adapter without it leaves nothing.
   */
  clean?(location: string, options?: CallOptions): Promise<void>;
  /**
   * The machines of this host that it knows, those that it would refuse included; with `supports.machines`. No guest,
   * and nobody else who commands one, notices that it was asked. Errors: CAPABILITY_MISSING (this is no such host, or
   * one that this user may not ask), ABORTED.
   */
  machines?(options?: FindMachinesOptions): Promise<readonly FoundMachine[]>;
  /** Starts machines. An adapter without it restores to those that others start. */
  readonly launcher?: Launcher;
}
