import type { CallOptions } from './call.js';
import type { MachineCommand, MachineInfo, MachineOrigin } from './machine-info.js';

/** An image that a machine's disk is started on in place of its own. */
export interface DiskImage {
  /** As in the checkpoint's `disks`. */
  readonly disk: string;
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
}

/** What tells a machine that is started from the one that it is a copy of. */
export interface MachineIdentity {
  readonly name?: string;
  readonly uuid?: string;
  /** Tell the guest that it is a copy, where it has a device for that. */
  readonly newGenerationId?: boolean;
  /** Kept where whoever attaches to it finds it: its checkpoints name it. */
  readonly origin?: MachineOrigin;
}

/** A TCP port of a guest. */
export interface GuestPort {
  readonly port: number;
  /** The guest's IPv4 address on its first network card. Default: what QEMU's user network has given to it. */
  readonly address?: string;
  /** Bits of the address that name its network, 8 to 29. Default 24. */
  readonly prefix?: number;
}

/** What came of a call to a port of the guest. */
export interface PortAnswer {
  /** Whether the guest took the connection. */
  readonly taken: boolean;
  /** The first bytes that came of themselves, one a character. */
  readonly said: string;
}

export interface LaunchOptions extends CallOptions {
  /** An empty directory of its own for sockets, logs and overlays; it goes with the machine. */
  readonly directory: string;
  /**
   * A whole command (its first word names a program), in place of the recorded one; or options, which take the place of
   * those of the recorded one that they contradict and come behind all others. Default: none.
   */
  readonly changed?: readonly string[];
  /** Disks as they are in the command; `overlays`: what is written is kept apart from them, in `directory`. Default `own`. */
  readonly disks?: 'own' | 'overlays';
  /** Images in place of some of the command's disks. */
  readonly images?: readonly DiskImage[];
  /** Network cards as in the command; `cut`: they are there, and lead nowhere. Default `own`. */
  readonly network?: 'own' | 'cut';
  /** With `cut`: a port that is reached from this process all the same (`callPort`), and nothing else. */
  readonly reach?: GuestPort;
  readonly identity?: MachineIdentity;
  /** A file of main memory that is mapped privately: what the machine writes stays its own. */
  readonly memoryFile?: string;
  /** The machine waits for a word after the restore. Default false: it runs. */
  readonly paused?: boolean;
}

/** What a virtual processor did in a stretch of time. */
export interface CpuActivity {
  /** Counted from 0. */
  readonly cpu: number;
  /** Milliseconds of a host's processor that it took; undefined where the host does not tell. */
  readonly ranMs?: number;
  /** Whether its registers changed between looks at them. */
  readonly moved: boolean;
}

/** How a machine is doing. */
export interface MachineLook {
  /** The hypervisor's word for its state: `running`, `paused`, `guest-panicked`. */
  readonly state: string;
  readonly running: boolean;
  /** Since the look before. */
  readonly cpus: readonly CpuActivity[];
  /** What happened since the look before that a healthy guest seldom does: `panicked`, `reset`, `shutdown`. */
  readonly happened: readonly string[];
}

/** A machine that was started, to be brought back to a checkpoint. Ends with this process until it is released. */
export interface Launched {
  /** Where `restore` brings it back: what follows the scheme. */
  readonly location: string;
  /** Process id of the hypervisor. */
  readonly pid: number;
  readonly command: MachineCommand;
  /** What people should know of how it was started. */
  readonly notes: readonly string[];
  /** Aborted, with a FitdocError as its reason, when it has ended by itself. */
  readonly gone: AbortSignal;
  /** Files that hold what the guest wrote to its consoles. */
  readonly consoles: readonly string[];
  /** Lets go: it goes on when this process ends. */
  release(): Promise<void>;
  /** Ends it and removes its directory. Idempotent. */
  end(): Promise<void>;
  /** Looks at it. MACHINE_GONE. */
  look(options?: CallOptions): Promise<MachineLook>;
  /** Has a picture of its screen written to `file` as PNG. False: it has no screen, or cannot. */
  screenshot(file: string, options?: CallOptions): Promise<boolean>;
  /** Cuts every network card off, or joins them again: the guest sees its cable pulled. Gives their names. */
  setLinks(up: boolean, options?: CallOptions): Promise<readonly string[]>;
  /** Lets a machine that waits run. */
  run(options?: CallOptions): Promise<void>;
  /** Whether the agent in the guest answers. */
  pingAgent(options?: CallOptions): Promise<boolean>;
  /**
   * Connects once to the port that it was started with as `reach`. Comes back when the guest has taken the connection
   * (and, where something is expected, has said it), has closed it, or has had some seconds for it.
   */
  callPort(expected?: RegExp, options?: CallOptions): Promise<PortAnswer>;
}

/** Starts machines, where an adapter can. */
export interface Launcher {
  /**
   * Starts a machine like the checkpoint's, waiting to be brought back to it. Errors: ARGUMENT_INVALID (no command is
   * known, or one that lacks secrets or cannot be changed as asked), CAPABILITY_MISSING (its port cannot be reached),
   * RESTORE_FAILED with the hypervisor's own words; then nothing of it is left.
   */
  launch(info: MachineInfo, options: LaunchOptions): Promise<Launched>;
}
