import type { AttachOptions, Hypervisor, Machine, MachineInfo, RestoreOptions } from '@fitdoc/interface';
import type { Runner } from '../runner.js';
import { OracleSink } from './oracle-sink.js';

/** Somewhere to restore to. */
export interface RestoreTarget {
  /** As `Hypervisor.restore` takes it: without the scheme. */
  readonly location: string;
  readonly options?: RestoreOptions;
  /**
   * Throws unless the restored machine is the captured one, bit for bit or by its own proof; `memory` is what
   * was captured, all pages in a row.
   */
  verify(memory: Uint8Array): Promise<void>;
  /** Machines that must not fit the target. Default: more memory, and regions of other names. */
  misfits?(info: MachineInfo): readonly MachineInfo[];
  readonly dispose?: () => Promise<void>;
}

/** A running guest for one test. */
export interface HypervisorPlace {
  readonly hypervisor: Hypervisor;
  /** As `Hypervisor.attach` takes it: without the scheme. */
  readonly location: string;
  /** For every attach of the suite. */
  readonly attach?: AttachOptions;
  /** Whether the guest's processors run; tells it of the hypervisor, not of the adapter. */
  isRunning(): Promise<boolean>;
  /** Lets the guest write to its memory; left out when it does so all the time. */
  mutate?(): Promise<void>;
  /**
   * `count` pages from `gfn` as the guest had them in the last capture. Left out where the guest runs on and
   * nobody can tell; then the restores decide whether captures are complete.
   */
  readMemory?(gfn: number, count: number): Promise<Uint8Array>;
  /**
   * Bytes of a disk as the guest had them in the last capture. For machines whose harvests bring disks.
   */
  readDisk?(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Ends the machine from outside, for good. The suite's last test. */
  kill?(): Promise<void>;
  /** A target that fits the guest. Left out when the hypervisor restores nothing. */
  restoreTarget?(): Promise<RestoreTarget>;
  readonly dispose?: () => Promise<void>;
}

export interface HypervisorSuiteOptions {
  /** Shown in the suite's title. */
  readonly name: string;
  /**
   * Gives a running guest that nobody is attached to. Called once a test: where a boot takes long, hand out
   * the same guest again and again, and make `dispose` do nothing until the runner's end.
   */
  open(): Promise<HypervisorPlace>;
  /** A location at which there is no machine. */
  readonly absentLocation?: string;
  /** Captures in the tests that take several. Default 5; real hypervisors may want 3. */
  readonly rounds?: number;
  /** Advice to the runner for each test. Default 30 000. */
  readonly timeoutMs?: number;
}

/** A guest with fitdoc attached, and the sink that holds what was captured. */
export interface Attached {
  readonly machine: Machine;
  readonly sink: OracleSink;
  readonly place: HypervisorPlace;
  readonly rounds: number;
  /** Lets the guest write, captures, commits, and compares where the place can tell. */
  round(): Promise<'full' | 'increment'>;
  /** Throws unless the sink holds what the guest had in the last capture. */
  compare(): Promise<void>;
}

/** Declares tests that each get a guest. */
export class Guests {
  readonly #runner: Runner;
  readonly options: HypervisorSuiteOptions;

  constructor(runner: Runner, options: HypervisorSuiteOptions) {
    this.#runner = runner;
    this.options = options;
  }

  test(name: string, body: (place: HypervisorPlace) => Promise<void>): void {
    this.#runner.it(
      name,
      async () => {
        const place = await this.options.open();
        try {
          await body(place);
        } finally {
          await place.dispose?.();
        }
      },
      this.options.timeoutMs ?? 30_000,
    );
  }

  /** A test that starts attached; it ends detached, whatever happens. */
  attachedTest(name: string, body: (attached: Attached) => Promise<void>): void {
    this.test(name, async (place) => {
      const machine = await place.hypervisor.attach(place.location, place.attach);
      try {
        await body(attachedTo(place, machine, this.options.rounds ?? 5));
      } finally {
        await machine.detach();
      }
    });
  }
}

export function attachedTo(place: HypervisorPlace, machine: Machine, rounds: number): Attached {
  const sink = new OracleSink(machine.info.regions);
  const compare = () => compareMemory(place, sink);
  const round = async () => {
    await place.mutate?.();
    const harvest = await sink.capture(machine);
    await harvest.commit();
    await compare();
    return harvest.kind;
  };
  return { machine, sink, place, rounds, round, compare };
}

const PAGES_AT_ONCE = 4096;

async function compareMemory(place: HypervisorPlace, sink: OracleSink): Promise<void> {
  if (!place.readMemory) return;
  for (let gfn = 0; gfn < sink.pages; gfn += PAGES_AT_ONCE) {
    const count = Math.min(PAGES_AT_ONCE, sink.pages - gfn);
    sink.expectPages(gfn, await place.readMemory(gfn, count));
  }
}
