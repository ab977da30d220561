import { constants as os } from 'node:os';
import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import type { XenCalls } from './binding.js';
import type { DomainFlags } from './domain-state.js';

const SHADOW_OFF = 0;
const SHADOW_ENABLE_LOGDIRTY = 2;
const SHADOW_CLEAN = 11;
const SHADOW_PEEK = 12;
/** Include the pages that Xen itself has mapped writably: right when the domain is suspended. */
const LOGDIRTY_FINAL = 1;
const PROT_READ = 1;

/** A hypercall of Xen's libraries failed. */
export function xenError(what: string, errno: number): FitdocError {
  const name = Object.entries(os.errno).find(([, value]) => value === errno)?.[0] ?? String(errno);
  return new FitdocError('CAPTURE_FAILED', `Xen refused to ${what} (${name}).`, {
    hint: 'See `xl dmesg` for the reason; config.path "remus" captures through the toolstack instead.',
    details: { errno: name },
  });
}

/** Pages of a domain that are mapped here, until `unmap`. */
export interface MappedPages {
  readonly bytes: Uint8Array;
  readonly pages: number;
  readonly pointer: unknown;
}

/** Memory that the hypervisor writes a dirty bitmap into. */
export interface HypercallBitmap {
  readonly bytes: Uint8Array;
  readonly handle: Uint8Array;
  readonly pages: number;
}

/** The operations on one domain, over Xen's libraries. Synchronous. Errors: CAPTURE_FAILED. */
export class DomainControl {
  readonly #calls: XenCalls;
  readonly #xch: unknown;
  readonly #memory: unknown;
  readonly #store: unknown;

  constructor(
    calls: XenCalls,
    readonly domid: number,
  ) {
    this.#calls = calls;
    this.#xch = calls.xc_interface_open(null, null, 0);
    this.#memory = calls.xenforeignmemory_open(null, 0);
    this.#store = calls.xs_open(0);
    if (!this.#xch || !this.#memory || !this.#store) throw xenError('be opened', calls.errno());
  }

  close(): void {
    this.#calls.xs_close(this.#store);
    this.#calls.xenforeignmemory_close(this.#memory);
    this.#calls.xc_interface_close(this.#xch);
  }

  get raw(): { calls: XenCalls; xch: unknown } {
    return { calls: this.#calls, xch: this.#xch };
  }

  check(result: number, what: string): number {
    if (result < 0) throw xenError(what, this.#calls.errno());
    return result;
  }

  flags(): DomainFlags {
    return this.#calls.domainFlags(this.#xch, this.domid);
  }

  /** Number of pfns up to the highest in use. */
  pfns(): number {
    const value = new BigUint64Array(1);
    this.check(this.#calls.xc_domain_maximum_gpfn(this.#xch, this.domid, value), 'tell the highest page');
    return Number(value[0]) + 1;
  }

  /** Replaces each pfn by its type in the top four bits of 32. */
  pageTypes(pfns: BigUint64Array): void {
    this.check(
      this.#calls.xc_get_pfn_type_batch(this.#xch, this.domid, pfns.length, pfns),
      'tell the types of pages',
    );
  }

  /** Turns the dirty log on; false when it was on already, or cannot be. */
  enableLog(): boolean {
    return this.#calls.xc_shadow_control(this.#xch, this.domid, SHADOW_ENABLE_LOGDIRTY, null, 0) >= 0;
  }

  /** Turns the dirty log on; one that somebody left on is turned off first. */
  startLog(): void {
    if (this.enableLog()) return;
    this.stopLog();
    this.check(this.enableLog() ? 0 : -1, 'log dirty pages');
  }

  stopLog(): void {
    this.#calls.xc_shadow_control(this.#xch, this.domid, SHADOW_OFF, null, 0);
  }

  /**
   * Writes every page into the dirty log, which must be on, but for the highest: Xen refuses a range that ends with it.
   * Of a guest below 4 GiB it is the ring of its console, which a restore clears; above, the last page of its memory.
   */
  markAllDirty(): void {
    const devices = this.#calls.xendevicemodel_open(null, 0);
    if (!devices) throw xenError('be asked as a device model', this.#calls.errno());
    try {
      const done = this.#calls.xendevicemodel_modified_memory(devices, this.domid, 0, this.pfns() - 1);
      this.check(done, 'log all pages as dirty');
    } finally {
      this.#calls.xendevicemodel_close(devices);
    }
  }

  allocateBitmap(pages: number): HypercallBitmap {
    const length = Math.ceil(pages / 64) * 8;
    const handle = new Uint8Array(64);
    const count = Math.ceil(length / PAGE_SIZE);
    const pointer = this.#calls.xc__hypercall_buffer_alloc_pages(this.#xch, handle, count);
    if (!pointer) throw xenError('lend memory for the dirty bitmap', this.#calls.errno());
    return { bytes: this.#calls.view(pointer, length), handle, pages };
  }

  freeBitmap(bitmap: HypercallBitmap): void {
    const count = Math.ceil(bitmap.bytes.length / PAGE_SIZE);
    this.#calls.xc__hypercall_buffer_free_pages(this.#xch, bitmap.handle, count);
  }

  /** Pages in the dirty log now, which stays as it is: no bitmap is copied. */
  dirtyCount(): number {
    const stats = new Uint32Array(2);
    const done = this.#calls.xc_logdirty_control(this.#xch, this.domid, SHADOW_PEEK, null, 0, 0, stats);
    this.check(Number(done), 'count its dirty pages');
    return stats[1]!;
  }

  /** Reads and clears the dirty log into the bitmap, which must be zero: Xen may write only parts of it. */
  harvest(bitmap: HypercallBitmap, final: boolean): void {
    const stats = new Uint32Array(2);
    const mode = final ? LOGDIRTY_FINAL : 0;
    const { handle, pages } = bitmap;
    const done = this.#calls.xc_logdirty_control(
      this.#xch,
      this.domid,
      SHADOW_CLEAN,
      handle,
      pages,
      mode,
      stats,
    );
    this.check(Number(done), 'give its dirty log');
  }

  /** Maps pages for reading; `errors` tells which of them are not there. Each mapping must be unmapped. */
  map(pfns: BigUint64Array, errors: Int32Array): MappedPages {
    const pages = pfns.length;
    const pointer = this.#calls.xenforeignmemory_map(
      this.#memory,
      this.domid,
      PROT_READ,
      pages,
      pfns,
      errors,
    );
    if (!pointer) throw xenError('map pages', this.#calls.errno());
    return { pointer, pages, bytes: this.#calls.view(pointer, pages * PAGE_SIZE) };
  }

  /** Ends a mapping; its bytes must not be touched any more. */
  unmap({ pointer, pages }: MappedPages): void {
    this.#calls.xenforeignmemory_unmap(this.#memory, pointer, pages);
  }

  readStore(path: string): string | undefined {
    const length = new Uint32Array(1);
    const pointer = this.#calls.xs_read(this.#store, 0, `/local/domain/${this.domid}/${path}`, length);
    if (!pointer) return undefined;
    const text = length[0] ? Buffer.from(this.#calls.view(pointer, length[0])).toString() : '';
    this.#calls.free(pointer);
    return text;
  }

  writeStore(path: string, text: string): void {
    const key = `/local/domain/${this.domid}/${path}`;
    if (!this.#calls.xs_write(this.#store, 0, key, text, text.length)) {
      throw xenError(`write ${path} into xenstore`, this.#calls.errno());
    }
  }

  /**
   * Lets a suspended domain go on as if its suspend had been cancelled. Requires a cooperating guest, and
   * `announceResume` after it.
   */
  resume(): void {
    this.check(this.#calls.xc_domain_resume(this.#xch, this.domid, 1), 'resume the guest');
  }

  /** Tells xenstored that the domain is no longer shut down, or it would not tell anybody of its next end. */
  announceResume(): void {
    this.#calls.xs_resume_domain(this.#store, this.domid);
  }
}
