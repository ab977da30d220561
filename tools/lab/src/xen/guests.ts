import { setTimeout as sleep } from 'node:timers/promises';
import type { XenHost } from './host.js';

export interface GuestOptions {
  readonly name: string;
  readonly type: 'pv' | 'pvh';
  /** MiB; the smallest that boots the kernel used is 80. */
  readonly memory?: number;
  /** Pages of the field that the guest proves. Default 512. */
  readonly pages?: number;
  /** Microseconds between two rewritten pages. Default 20,000. */
  readonly stepMicroseconds?: number;
}

/** What the guest last said of itself. */
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
  const { name, type, memory = 80, pages = 512, stepMicroseconds = 20_000 } = options;
  const lines = [
    `name = "${name}"`,
    `type = "${type}"`,
    'kernel = "/boot/guest-kernel"',
    'ramdisk = "/boot/guest-initramfs"',
    `extra = "console=hvc0 loglevel=4 pages=${pages} step=${stepMicroseconds}"`,
    `memory = ${memory}`,
    `maxmem = ${memory}`,
    'vcpus = 1',
    // Without it, QEMU's mistaken rdtscp intercept ends the guest.
    ...(type === 'pvh' ? ['tsc_mode = "native"'] : []),
  ];
  await host.must(
    `cat > /run/${name}.cfg <<'CFG'\n${lines.join('\n')}\nCFG\nrm -f /var/log/xen/guest-${name}.log\nxl create -q /run/${name}.cfg`,
  );
  await waitForSweeps(host, name, 1);
}

/** Creates a guest unless it is there already, and sees that its memory is whole. */
export async function ensureGuest(host: XenHost, options: GuestOptions): Promise<void> {
  const { code } = await host.run(`xl domid ${options.name}`);
  if (code === 0) await waitForSweeps(host, options.name, 1);
  else await createGuest(host, options);
}

/** Reads the guest's console log. */
export async function guestWord(host: XenHost, name: string): Promise<GuestWord | undefined> {
  const { out } = await host.run(
    `log=/var/log/xen/guest-${name}.log; grep -c GUEST-BAD $log; grep GUEST-OK $log | tail -n 1`,
  );
  const word = /steps=(\d+) sweeps=(\d+) boot=\S+ gap=(\d+)/.exec(out);
  if (!word) return undefined;
  return {
    steps: Number(word[1]),
    sweeps: Number(word[2]),
    gapMs: Number(word[3]),
    bad: Number(out.split('\n')[0]),
  };
}

/** Waits until the guest has spoken `count` times more than at the call; throws when it found damage. */
export async function waitForSweeps(
  host: XenHost,
  name: string,
  count: number,
  timeoutMs = 90_000,
): Promise<GuestWord> {
  const first = (await guestWord(host, name))?.sweeps ?? 0;
  const end = Date.now() + timeoutMs;
  for (;;) {
    const word = await guestWord(host, name);
    if (word && word.bad > 0) throw new Error(`Guest ${name} found ${word.bad} damaged pages.`);
    if (word && word.sweeps >= first + count) return word;
    if (Date.now() > end) {
      const { out } = await host.run(
        `xl list; tail -n 5 /var/log/xen/guest-${name}.log; xl dmesg | tail -n 5`,
      );
      throw new Error(`Guest ${name} says nothing:\n${out}`);
    }
    await sleep(300);
  }
}

/** Ends a guest, if it is there. */
export async function destroyGuest(host: XenHost, name: string): Promise<void> {
  await host.run(`xl destroy ${name}`);
}
