import { PAGE_SIZE } from '@fitdoc/interface';
import type { DomainControl } from '../src/direct/xen/control.js';

/** Page numbers that the domain may have; those behind its memory are absent. */
export const PFNS = 0x100000;
/** Type 15 in the top four of 32 bits. */
const ABSENT = 0xfn << 28n;

/**
 * A domain as `DomainControl` shows it, over memory of this process: its dirty log, its suspends and what is called
 * while it stands. The suite on a real Xen says whether it tells the truth.
 */
export class FakeDomain {
  readonly domid = 7;
  readonly memory: Uint8Array;
  readonly dirty = new Set<number>();
  /** Calls in their order; those made while the guest stood are behind `stands`. */
  readonly calls: string[] = [];
  /** Pages that the guest writes to in suspending itself. */
  suspendWrites: number[] = [];
  /** Milliseconds for which it ran between the last look and its suspend. */
  runsOn = 0;
  /** Called when the guest has been asked, before it answers; false: it does not answer. */
  onRequest: () => boolean = () => true;
  onHarvest: (() => void) | undefined;
  log = false;
  suspended = false;
  paused = false;
  crashed = false;
  poweredOff = false;
  mapped = 0;
  /** Milliseconds for which its vCPU has run. */
  ranMs = 0;
  /** What its balloon aims at, KiB, as xenstore has it. */
  targetKiB: number | undefined;
  #store = '';

  constructor(readonly pages: number) {
    this.memory = new Uint8Array(pages * PAGE_SIZE);
  }

  get control(): DomainControl {
    return this as unknown as DomainControl;
  }

  write(pfn: number, value: number): void {
    this.memory.fill(value, pfn * PAGE_SIZE, (pfn + 1) * PAGE_SIZE);
    if (this.log) this.dirty.add(pfn);
  }

  /** What was called while the guest stood, in the last pause. */
  inPause(): string[] {
    const from = this.calls.lastIndexOf('stands');
    const to = this.calls.indexOf('resume', from);
    return this.calls.slice(from + 1, to + 1);
  }

  get raw() {
    const call =
      (name: string, result = 0) =>
      (): number => {
        this.calls.push(name);
        return result;
      };
    const calls = {
      xc_cpu_policy_get_size: call('policy'),
      xc_cpu_policy_init: () => ({}),
      xc_cpu_policy_destroy: call('policy'),
      xc_cpu_policy_get_domain: call('policy'),
      xc_cpu_policy_serialise: call('policy'),
      xc_domain_get_tsc_info: call('tsc'),
      xc_domain_hvm_getcontext: call('context', 16),
      xc_hvm_param_get: call('parameter'),
    };
    return { calls, xch: {} };
  }

  check(result: number): number {
    return result;
  }

  flags() {
    const { suspended, paused, crashed, poweredOff } = this;
    const shutdown = poweredOff;
    return {
      ...{ present: true, suspended, paused, crashed, shutdown, poweredOff, pages: this.pages },
      ranMs: this.ranMs,
      ended: crashed || shutdown,
    };
  }

  pfns = () => PFNS;

  pageTypes(pfns: BigUint64Array): void {
    pfns.forEach((pfn, index) => {
      if (Number(pfn) >= this.pages) pfns[index] = pfn | ABSENT;
    });
  }

  enableLog(): boolean {
    if (this.log) return false;
    this.log = true;
    this.dirty.clear();
    return true;
  }

  startLog(): void {
    this.log = false;
    this.enableLog();
  }

  stopLog(): void {
    this.log = false;
  }

  markAllDirty(): void {
    for (let pfn = 0; this.log && pfn < this.pages; pfn++) this.dirty.add(pfn);
  }

  allocateBitmap(pages: number) {
    return { bytes: new Uint8Array(Math.ceil(pages / 64) * 8), handle: new Uint8Array(8), pages };
  }

  freeBitmap(): void {}

  dirtyCount(): number {
    return this.dirty.size;
  }

  harvest(bitmap: { bytes: Uint8Array }): void {
    this.calls.push('harvest');
    this.onHarvest?.();
    for (const pfn of this.dirty) bitmap.bytes[pfn >>> 3]! |= 1 << (pfn & 7);
    this.dirty.clear();
  }

  map(pfns: BigUint64Array, errors: Int32Array) {
    this.calls.push('map');
    this.mapped++;
    const bytes = new Uint8Array(pfns.length * PAGE_SIZE);
    pfns.forEach((wide, index) => {
      const pfn = Number(wide);
      errors[index] = pfn < this.pages ? 0 : -22;
      if (errors[index] === 0)
        bytes.set(this.memory.subarray(pfn * PAGE_SIZE, (pfn + 1) * PAGE_SIZE), index * PAGE_SIZE);
    });
    return { bytes, pages: pfns.length, pointer: {} };
  }

  unmap(): void {
    this.calls.push('unmap');
    this.mapped--;
  }

  readStore(path: string): string | undefined {
    if (path === 'memory/target') return this.targetKiB?.toString();
    return path === 'control/shutdown' ? this.#store : undefined;
  }

  writeStore(_path: string, text: string): void {
    this.#store = text;
    if (text !== 'suspend' || !this.onRequest()) return;
    this.#store = '';
    setTimeout(() => {
      for (const pfn of this.suspendWrites) this.write(pfn, 200);
      this.suspended = true;
      this.ranMs += this.runsOn;
      this.calls.push('stands');
    }, 3);
  }

  resume(): void {
    this.calls.push('resume');
    this.suspended = false;
  }

  announceResume(): void {
    this.calls.push('announce');
  }

  close(): void {}
}
