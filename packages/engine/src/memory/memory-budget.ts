import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { FitdocError } from '@fitdoc/interface';
import { groupMemory } from './control-group.js';
import { sharesOf, type Need } from './shares.js';

/** A machine's protection, as the budget sees it. */
export interface Holder {
  /** `The image of vm1`. */
  readonly name: string;
  need(): Need;
  /** Bytes that it takes now. */
  used(): number;
  /** Keeps within so many bytes from now on; resolves when it does. It may be in the middle of something. */
  resize(bytes: number): Promise<void>;
  /** Whether it could give memory back at once. */
  readonly idle: boolean;
}

/** A part of the budget. */
export interface Share {
  /** Bytes; at least the holder's `whole` where it need not care. */
  readonly bytes: number;
  /** Ends the claim, once; the others may have it. */
  end(): void;
}

interface Member {
  readonly holder: Holder;
  bytes: number;
}

/** Milliseconds between two looks at what the guests need now. */
const EVERY_MS = 10_000;
/** What workers take to encode and decode, beside the images: free memory that is left to them. */
const FOR_WORK = 128 * 2 ** 20;
/** Without a limit of one's own, the part of what is free that images may take when they cannot be held whole. */
const PART_OF_FREE = 0.75;

/**
 * Shares memory out among the images of guests: each whole while that fits, else by need. A share is given before
 * memory is taken.
 */
export class MemoryBudget {
  readonly #limit: number | undefined;
  readonly #free: () => Free;
  readonly #members = new Set<Member>();
  #turn: Promise<unknown> = Promise.resolve();
  #nextMs = 0;

  /** Without a `limit` what the control group and the system have free counts, each time that something is claimed. */
  constructor(limit?: number, free: () => Free = freeMemory) {
    this.#limit = limit;
    this.#free = free;
  }

  /** Whether nothing but the system's free memory is the limit: an estimate, beyond which nobody is ended at once. */
  get advisory(): boolean {
    return this.#limit === undefined && this.#free().group === undefined;
  }

  /** Bytes that are given to holders. */
  get claimed(): number {
    return [...this.#members].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Claims a share; others may have to give some of theirs back. Errors: MEMORY_BUDGET, before anybody does. */
  async claim(holder: Holder): Promise<Share> {
    const member: Member = { holder, bytes: 0 };
    await this.#inTurn(async () => {
      this.#check(holder);
      this.#members.add(member);
      try {
        await this.#share(member);
      } catch (error) {
        this.#members.delete(member);
        throw error;
      }
    });
    return {
      get bytes() {
        return member.bytes;
      },
      end: () => {
        if (this.#members.delete(member)) void this.rebalance();
      },
    };
  }

  /** Now and then, when nobody is paused: shares out anew, as needs change. */
  glance(): void {
    const now = performance.now();
    if (this.#members.size < 2 || now < this.#nextMs) return;
    this.#nextMs = now + EVERY_MS;
    void this.rebalance();
  }

  /** Shares out anew: needs have changed. */
  async rebalance(): Promise<void> {
    await this.#inTurn(() => this.#share(undefined));
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  /** Fails when the least of all does not fit. */
  #check(holder: Holder): void {
    const { total, where, remedy } = this.#total();
    const others = [...this.#members].reduce((sum, { holder: other }) => sum + other.need().least, 0);
    const { least } = holder.need();
    if (others + least <= total) return;
    throw new FitdocError(
      'MEMORY_BUDGET',
      `${holder.name} needs at least ${mebibytes(least)} of memory; ${where} ${mebibytes(total)}${others > 0 ? `, of which other guests need ${mebibytes(others)}` : ''}.`,
      { hint: remedy, details: { least, total, others } },
    );
  }

  #total(): { total: number; where: string; remedy: string } {
    if (this.#limit !== undefined) {
      const remedy = 'Raise the memory budget, or protect fewer machines with this process.';
      return { total: this.#limit, where: 'the memory budget is', remedy };
    }
    const used = [...this.#members].reduce((sum, { holder }) => sum + holder.used(), 0);
    const { bytes, group, limit = 0 } = this.#free();
    const total = used + Math.max(0, bytes - FOR_WORK);
    if (group === undefined) {
      const remedy = 'Free memory, or name a budget (--memory, or memory under [daemon]).';
      return { total, where: 'this host leaves', remedy };
    }
    return {
      total,
      where: `the control group ${group} allows ${mebibytes(limit)}, which leaves`,
      remedy:
        'Raise its limit (MemoryMax= of the unit, --memory of the container), or name a budget of your own (--memory, or memory under [daemon]), which is taken at its word.',
    };
  }

  async #share(newcomer: Member | undefined): Promise<void> {
    const members = [...this.#members];
    const needs = members.map(({ holder }) => holder.need());
    const shares = sharesOf(this.#forImages(needs), needs);
    const given = shares.reduce((sum, share) => sum + share, 0);
    const scarce = newcomer !== undefined && newcomer.holder.need().least > given - this.claimed;
    // Who gets less gives back first. Who is in the middle of a checkpoint is waited for only where nothing goes without.
    const yielding = members.filter(({ holder }) => scarce || holder.idle);
    await Promise.all(
      yielding.map((member) => this.#lower(member, shares[members.indexOf(member)]!, newcomer)),
    );
    let left = given - this.claimed;
    for (const [index, member] of members.entries()) {
      const more = Math.min(shares[index]! - member.bytes, left);
      if (more <= 0) continue;
      left -= more;
      member.bytes += more;
      if (member !== newcomer) await member.holder.resize(member.bytes).catch(() => undefined);
    }
    if (newcomer && newcomer.bytes < newcomer.holder.need().least) throw busy(newcomer.holder.name);
  }

  async #lower(member: Member, bytes: number, newcomer: Member | undefined): Promise<void> {
    if (bytes >= member.bytes || member === newcomer) return;
    try {
      await member.holder.resize(bytes);
      member.bytes = bytes;
    } catch {
      // It keeps what it has: a host that takes no memory back, or a protection at its end.
    }
  }

  #forImages(needs: readonly Need[]): number {
    const { total } = this.#total();
    const whole = needs.reduce((sum, need) => sum + need.whole, 0);
    const least = needs.reduce((sum, need) => sum + need.least, 0);
    if (this.#limit !== undefined || whole <= total) return Math.max(total, least);
    const used = [...this.#members].reduce((sum, { holder }) => sum + holder.used(), 0);
    return Math.max(least, used + PART_OF_FREE * (total - used));
  }
}

/** Memory that this process may still take. */
export interface Free {
  readonly bytes: number;
  /** The control group that says so, and its limit; undefined where it is the system. */
  readonly group?: string;
  readonly limit?: number;
}

/** Of the control group where there is one with a limit, else of the system; whichever is less. */
function freeMemory(): Free {
  const group = groupMemory();
  // Not `process.availableMemory`, which knows of groups and does not say which.
  const system = os.freemem();
  const inGroup = group ? Math.max(0, group.limit - group.used) : Number.POSITIVE_INFINITY;
  if (!group || system < inGroup) return { bytes: system };
  return { bytes: inGroup, group: group.group, limit: group.limit };
}

function busy(name: string): FitdocError {
  return new FitdocError('MEMORY_BUDGET', `${name} gets no memory: others have not given theirs back yet.`, {
    retryable: true,
    hint: 'Try again, raise the memory budget, or protect fewer machines with this process.',
  });
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
