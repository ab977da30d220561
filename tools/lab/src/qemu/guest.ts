import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildColoShim, buildFirmware, buildInitramfs, type FirmwareHeart } from './build.js';
import { guestKernel } from './install.js';

export interface GuestOptions {
  readonly accel: 'kvm' | 'tcg';
  /** The QEMU to start: a program, as `otherQemu` names them. Default: the system's. */
  readonly qemu?: string;
  /** More of the accelerator's own options, `dirty-ring-size=4096`. */
  readonly accelOptions?: string;
  /**
   * `linux`: Debian's kernel and busybox; `firmware`: the bare-metal guest; `bare`: what QEMU starts by itself.
   * Default: linux under tcg, else firmware.
   */
  readonly guest?: 'linux' | 'firmware' | 'bare';
  /** KiB of main memory. Default 64 MiB for firmware; 128 MiB and 8 KiB for Linux (see the README of the lab). */
  readonly memoryKib?: number;
  readonly cpus?: number;
  /** Default `pc`. Give a versioned type where a restore must match. */
  readonly machine?: string;
  readonly name?: string;
  readonly uuid?: string;
  /** Settings of the bare-metal guest's memory proof. */
  readonly firmwareHeart?: FirmwareHeart;
  /** Settings of the Linux guest's memory proof: processes, MiB each, pages a beat, milliseconds between. */
  readonly heart?: {
    readonly workers?: number;
    readonly mib?: number;
    readonly pages?: number;
    readonly ms?: number;
  };
  /** An initramfs from `buildInitramfs` in place of the plain one. */
  readonly initramfs?: string;
  /** More of the Linux guest's command line. */
  readonly commandLine?: string;
  /** Start with `-incoming defer`, as the target of a restore. */
  readonly incoming?: boolean;
  /** Preload the work-around that COLO needs under tcg. Default: under tcg yes. */
  readonly shim?: boolean;
  readonly extraArgs?: readonly string[];
}

export interface RunningGuest {
  readonly qmpPath: string;
  /** File that receives the serial console's output. */
  readonly serialPath: string;
  readonly pid: number;
  readonly directory: string;
  /** Settles when QEMU has ended, with its exit code or the signal that ended it. */
  readonly exited: Promise<string>;
  /** What QEMU wrote to its standard error. */
  errors(): Promise<string>;
  /** Kills QEMU and removes its directory. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Starts a QEMU with a guest that proves its own memory; resolves when its QMP socket is there. */
export async function startGuest(options: GuestOptions): Promise<RunningGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'fitdoc-guest-'));
  const qmpPath = join(directory, 'qmp.sock');
  const serialPath = join(directory, 'serial');
  const log = await open(join(directory, 'errors'), 'w');
  const preload = (options.shim ?? options.accel === 'tcg') ? { LD_PRELOAD: await buildColoShim() } : {};
  const args = [...(await machineArguments(options)), '-qmp', `unix:${qmpPath},server=on,wait=off`];
  args.push('-chardev', `file,id=console,path=${serialPath}`, '-serial', 'chardev:console');
  const child = spawn(options.qemu ?? 'qemu-system-x86_64', args, {
    cwd: directory,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, ...preload },
  });
  running.add(child);
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
    running.delete(child);
    return String(signal ?? code);
  });
  await log.close();
  const errors = (): Promise<string> => readFile(join(directory, 'errors'), 'utf8').catch(() => '');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  while (!existsSync(qmpPath)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const message = await errors();
      await stop();
      throw new Error(`QEMU ended at once: ${message}`);
    }
    await sleep(10);
  }
  return { qmpPath, serialPath, pid: child.pid!, directory, exited, errors, stop };
}

async function machineArguments(options: GuestOptions): Promise<string[]> {
  const guest = options.guest ?? (options.accel === 'tcg' ? 'linux' : 'firmware');
  const memory = options.memoryKib ?? (guest === 'linux' ? 128 * 1024 + 8 : 64 * 1024);
  const accelerator = [options.accel, options.accelOptions].filter((each) => each !== undefined).join(',');
  const args = ['-accel', accelerator, '-machine', options.machine ?? 'pc', '-m', `${memory}K`];
  args.push('-smp', String(options.cpus ?? 1), '-nodefaults', '-display', 'none');
  if (options.name !== undefined) args.push('-name', options.name);
  if (options.uuid !== undefined) args.push('-uuid', options.uuid);
  if (options.incoming === true) args.push('-incoming', 'defer');
  if (guest === 'firmware') args.push('-bios', await buildFirmware(options.firmwareHeart));
  else if (guest === 'linux') args.push(...(await linuxArguments(options)));
  return [...args, ...(options.extraArgs ?? [])];
}

async function linuxArguments({
  heart = {},
  cpus = 1,
  initramfs,
  commandLine: more = '',
}: GuestOptions): Promise<string[]> {
  const { workers = cpus, mib = 16, pages = 200, ms = 100 } = heart;
  const settings = `heart.workers=${workers} heart.mib=${mib} heart.pages=${pages} heart.ms=${ms}`;
  const commandLine = `console=ttyS0 quiet loglevel=1 panic=1 random.trust_cpu=on ${settings} ${more}`;
  const image = initramfs ?? (await buildInitramfs());
  return ['-kernel', await guestKernel(), '-initrd', image, '-append', commandLine];
}
