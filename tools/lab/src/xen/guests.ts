import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { XenHost } from './host.js';

export interface GuestOptions {
  readonly name: string;
  readonly type: 'pv' | 'pvh' | 'hvm';
  /** MiB. Default 80, the smallest that boots the kernel used; with a device model 96, with a screen 104. */
  readonly memory?: number;
  /** Whether an HVM guest has a screen, the standard VGA, of whose memory it proves a part. Default false. */
  readonly screen?: boolean;
  /** Whether an HVM guest has an emulated disk, which it reads by DMA. Default true. */
  readonly disk?: boolean;
  /** Pages of the field that the guest proves. Default 512. */
  readonly pages?: number;
  /**
   * MiB to which it gives memory back once it has booted. Default 70: fewer pages to move, and holes among them; an
   * HVM guest keeps all.
   */
  readonly balloon?: number;
  /** Microseconds between two rewritten pages. Default 20,000. */
  readonly stepMicroseconds?: number;
  /** What xl does when it crashes (on_crash). Default `preserve`. */
  readonly onCrash?: 'preserve' | 'restart';
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

/** Blocks of the disk that an HVM guest reads by DMA. */
const DISK_BLOCKS = 256;
/** Memory of a screen, MiB: the least that xl gives one. It is a part of its guest's. */
const SCREEN_MIB = 16;
/** Pages of it that the guest proves. */
const SCREEN_PAGES = 64;

/** Writes the disk of an HVM guest: each word holds its block's number in the upper half, its own in the lower. */
async function makeDisk(host: XenHost, name: string): Promise<void> {
  const words = new Uint32Array(DISK_BLOCKS * 1024);
  for (let index = 0; index < words.length; index += 2) {
    words[index] = (index / 2) % 512;
    words[index + 1] = Math.floor(index / 1024);
  }
  writeFileSync(join(host.shared, `${name}.disk`), words);
  await host.must(`mv /host/${name}.disk /run/${name}.disk`);
}

/** What an HVM guest needs besides: a device model, and the devices that it emulates. */
function deviceLines({ name, screen, disk }: Required<GuestOptions>): string[] {
  // xl's own disks want scripts that dom0 has not; several copies of a guest may read the same file.
  const drive = `file=/run/${name}.disk,if=ide,index=0,media=disk,format=raw,file.locking=off`;
  return [
    ...(screen ? ['vga = "stdvga"', `videoram = ${SCREEN_MIB}`] : ['vga = "none"']),
    ...['vnc = 0', 'usb = 0', `serial = "file:/host/log/${name}-serial.log"`],
    ...(disk ? [`device_model_args_hvm = ["-drive", "${drive}"]`] : []),
  ];
}

function withDefaults(options: GuestOptions): Required<GuestOptions> {
  const hvm = options.type === 'hvm';
  const { screen = false } = options;
  const { memory = hvm ? (screen ? 104 : 96) : 80 } = options;
  return {
    ...{ disk: hvm, pages: 512, balloon: hvm ? memory : 70, stepMicroseconds: 20_000, onCrash: 'preserve' },
    ...{ ...options, screen, memory },
  };
}

function configLines(options: Required<GuestOptions>): string[] {
  const { name, type, memory, screen, disk, pages, stepMicroseconds, onCrash } = options;
  const extra = [
    ...['console=hvc0', 'loglevel=4', 'sysrq_always_enabled', `pages=${pages}`, `step=${stepMicroseconds}`],
    ...(disk ? [`disk=${DISK_BLOCKS}`, 'xen_emul_unplug=never'] : []),
    ...(screen ? [`screen=${SCREEN_PAGES}`] : []),
  ];
  return [
    `name = "${name}"`,
    `type = "${type}"`,
    'kernel = "/boot/guest-kernel"',
    `ramdisk = "/boot/guest-initramfs${disk ? '-disk' : ''}"`,
    `extra = "${extra.join(' ')}"`,
    `memory = ${memory}`,
    `maxmem = ${memory}`,
    'vcpus = 1',
    `on_crash = "${onCrash}"`,
    // Without it, QEMU's mistaken rdtscp intercept ends the guest.
    ...(type === 'pv' ? [] : ['tsc_mode = "native"']),
    ...(type === 'hvm' ? deviceLines(options) : []),
  ];
}

/** Creates a test guest and waits until it has swept its memory once. */
export async function createGuest(host: XenHost, options: GuestOptions): Promise<void> {
  const guest = withDefaults(options);
  const { name, type, disk, balloon } = guest;
  if (disk) await makeDisk(host, name);
  const config = configLines(guest).join('\n');
  await host.must(
    `cat > /run/${name}.cfg <<'CFG'\n${config}\nCFG\nrm -f /host/log/guest-${name}.log\nxl create -q /run/${name}.cfg`,
  );
  // The firmware reads an HVM guest's kernel byte by byte.
  await waitForSweeps(host, name, 1, type === 'hvm' ? 400_000 : undefined);
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
