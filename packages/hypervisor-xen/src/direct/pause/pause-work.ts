import { performance } from 'node:perf_hooks';
import {
  FitdocError,
  throwIfAborted,
  type PageSink,
  type PausePhases,
  type PauseTask,
} from '@fitdoc/interface';
import type { DeviceModel } from '../devices/device-model.js';
import type { DomainControl } from '../xen/control.js';
import type { DirtyLog } from './dirty-log.js';
import type { PageCopier } from './pages.js';
import type { SuspendTimes } from './suspend.js';
import { VcpuReader, type LibxcRecord } from './vcpu-state.js';

export interface Paused {
  readonly pauseMs: number;
  readonly pausePhases: PausePhases;
  readonly capturedAtMs: number;
  readonly records: readonly LibxcRecord[];
  /** Pages that were copied while the guest stood. */
  readonly pages: number;
}

/**
 * What is done while the guest stands, and nothing else. Buffers are made and cleared before; records are put
 * together, pages unmapped and xenstored told after the guest runs again.
 */
export class PauseWork {
  readonly #control: DomainControl;
  readonly #copier: PageCopier;
  readonly #log: DirtyLog;
  readonly #vcpus: VcpuReader;
  readonly #name: string;
  readonly #devices: DeviceModel | undefined;

  constructor(
    control: DomainControl,
    copier: PageCopier,
    log: DirtyLog,
    name: string,
    devices?: DeviceModel,
  ) {
    this.#devices = devices;
    this.#control = control;
    this.#copier = copier;
    this.#log = log;
    this.#name = name;
    this.#vcpus = new VcpuReader(control);
  }

  /** All that can be done before the guest is asked. */
  prepare(specialPages: Iterable<number>, dirtyPages: number): void {
    // xenstored, xenconsoled and Xen write to these pages through mappings that the log does not see.
    for (const pfn of specialPages) this.#log.owed.set(pfn);
    this.#log.prepare();
    this.#copier.prepare(dirtyPages);
  }

  /**
   * Takes the suspended guest's state and its dirty pages, and resumes it, whatever happens. Without a task in one turn
   * of the event loop: nothing else of this process reaches into the pause. Errors: CAPTURE_FAILED, MACHINE_PAUSED,
   * ABORTED.
   */
  async take(
    sink: PageSink,
    signal: AbortSignal,
    { askedMs, lastRanMs }: SuspendTimes,
    task?: PauseTask,
  ): Promise<Paused> {
    const marks = [performance.now()];
    const mark = () => marks.push(performance.now());
    const capturedAtMs = Math.round(performance.timeOrigin + lastRanMs);
    try {
      // First, and before the log: what the devices still have under way goes into the guest's memory.
      this.#stopDevices();
      mark();
      const doing = task?.run();
      // The vCPUs run on from here.
      this.#vcpus.read();
      mark();
      // Whatever the guest wrote until now, the end of its own suspend as well.
      this.#log.harvest(true);
      mark();
      throwIfAborted(signal);
      // Nothing in Xen keeps a page as it was once its guest runs.
      this.#copier.copySuspended(this.#log.owed, sink);
      mark();
      if (doing) await doing;
      mark();
      throwIfAborted(signal);
    } finally {
      this.#resume();
      mark();
      this.#control.announceResume();
      this.#copier.settle();
    }
    this.#copier.deliver(this.#log.owed, sink);
    const [seen, device, state, harvest, copy, done, end] = marks as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const { mapMs } = this.#copier;
    return {
      pauseMs: end - lastRanMs,
      pausePhases: {
        request: lastRanMs - askedMs,
        notice: seen - lastRanMs,
        ...(this.#devices && { device: device - seen }),
        state: state - (this.#devices ? device : seen),
        harvest: harvest - state,
        map: mapMs,
        copy: Math.max(0, copy - harvest - mapMs),
        ...(task && { task: done - copy }),
        resume: end - (task ? done : copy),
      },
      capturedAtMs,
      records: this.#vcpus.records(),
      pages: this.#copier.suspendedPages,
    };
  }

  #stopDevices(): void {
    if (!this.#devices) return;
    // A guest that was resumed because this process stalled must keep its devices.
    if (!this.#control.flags().suspended) throw ranOn();
    this.#devices.stopAndSave();
  }

  #resume(): void {
    try {
      // Before the vCPUs: what they ask of a device that stands is lost.
      this.#devices?.goOn();
      if (this.#control.flags().suspended) {
        this.#control.resume();
        return;
      }
    } catch (cause) {
      throw new FitdocError('MACHINE_PAUSED', `The guest ${this.#name} could not be resumed.`, {
        cause,
        hint:
          'The guard of this process goes on trying. Should that not help, `xl destroy` the guest and restore ' +
          'the latest checkpoint.',
      });
    }
    throw ranOn();
  }
}

function ranOn(): FitdocError {
  return new FitdocError('CAPTURE_FAILED', 'The guest ran on before the capture was complete.', {
    hint: 'The pause was longer than config.pauseLimitSeconds; capture again, or raise it.',
    retryable: true,
  });
}
