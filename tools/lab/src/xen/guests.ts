import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { XenHost } from './host.js';

export interface GuestOptions {
  readonly name: string;
  readonly type: 'pv' | 'pvh';
  /** MiB; the smallest that boots the kernel used is 80. */
  readonly memory?: number;
  /** Pages of the field that the guest proves. Default 512. */
  readonly pages?: number;
  /** MiB to which it gives memory back once it has booted. Default 70: fewer pages to move, and holes among them. */
  readonly balloon?: number;
  /** Microseconds between two rewritten pages. Default 20,000. */
  readonly stepMicroseconds?: number;
}

/** What the guest said of itself. */
export interface GuestWord {
  readonly steps: number;
  readonly sweeps: number;
  /** Pages found wrong, ever. */
  readonly bad: number;
  /** The longest time that the guest saw pass between two steps since it last spoke, ms. */
  readonly gapMs: number;
}

/** Creates a test guest and waits until it has swept its memory once. */
export async function createGuest(host: XenHost, options: GuestOptions): Promise<void> {
  const { name, type, memory = 80, balloon = 70, pages = 512, stepMicroseconds = 20_000 } = options;
  const lines = [
    `name = "${name}"`,
    `type = "${type}"`,
    'kernel = "/boot/guest-kernel"',
    'ramdisk = "/boot/guest-initramfs"',
    `extra = "console=hvc0 loglevel=4 sysrq_always_enabled pages=${pages} step=${stepMicroseconds}"`,
    `memory = ${memory}`,
    `maxmem = ${memory}`,
    'vcpus = 1',
    // Whether xl still acts on a crash depends on whether it saw a suspend before.
    'on_crash = "preserve"',
    // Without it, QEMU's mistaken rdtscp intercept ends the guest.
    ...(type === 'pvh' ? ['tsc_mode = "native"'] : []),
  ];
  await host.must(
    `cat > /run/${name}.cfg <<'CFG'\n${lines.join('\n')}\nCFG\nrm -f /host/log/guest-${name}.log\nxl create -q /run/${name}.cfg`,
  );
  await waitForSweeps(host, name, 1);
  await host.must(
    `xl mem-set ${name} ${balloon}; until [ "$(xl list ${name} | awk 'END { print $3 }')" -le ${balloon} ]; do sleep 0.5; done`,
  );
}

/** Creates a guest unless it is there already, and sees that its memory is whole. */
export async function ensureGuest(host: XenHost, options: GuestOptions): Promise<void> {
  const { code } = await host.run(`xl domid ${options.name}`);
  if (code === 0) await waitForSweeps(host, options.name, 1);
  else await createGuest(host, options);
}

/** Where this machine finds what a guest wrote on its console. */
function guestLog(host: XenHost, name: string): string {
  return join(host.shared, 'log', `guest-${name}.log`);
}

/** All that the guest said of itself, in order. */
export function guestWords(host: XenHost, name: string): GuestWord[] {
  const path = guestLog(host, name);
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  const bad = text.split('GUEST-BAD').length - 1;
  return [...text.matchAll(/GUEST-OK steps=(\d+) sweeps=(\d+) boot=\S+ gap=(\d+)/g)].map((word) => ({
    steps: Number(word[1]),
    sweeps: Number(word[2]),
    gapMs: Number(word[3]),
    bad,
  }));
}

/** Waits until the guest has spoken `count` times more than at the call; throws when it found damage. */
export async function waitForSweeps(
  host: XenHost,
  name: string,
  count: number,
  timeoutMs = 120_000,
): Promise<GuestWord> {
  const before = guestWords(host, name).length;
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(200)) {
    const words = guestWords(host, name);
    const last = words.at(-1);
    if (last && last.bad > 0) throw new Error(`Guest ${name} found ${last.bad} damaged pages.`);
    if (last && words.length >= before + count) return last;
  }
  const { out } = await host.run(`xl list; tail -n 5 /host/log/guest-${name}.log; xl dmesg | tail -n 5`);
  throw new Error(`Guest ${name} says nothing:\n${out}`);
}

/** Ends a guest, if it is there. */
export async function destroyGuest(host: XenHost, name: string): Promise<void> {
  await host.run(`xl destroy ${name}`);
}
