import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { CaptureOptions, Machine } from '@fitdoc/interface';
import { qemuStream } from '@fitdoc/qemu';
import { gate } from '../../../../tools/lab/src/gate.js';
import {
  LibvirtHost,
  missingForLibvirt,
  startDomain,
  type DomainOptions,
  type TestDomain,
} from '../../../../tools/lab/src/libvirt/index.js';
import { readHeartbeats, waitForHeartbeats, type Heartbeat } from '../../../../tools/lab/src/qemu/index.js';
import { OracleMemory, type KeptCheckpoint } from '../../../qemu/test/support/oracle.js';
import { DOMAIN_STATE, hypervisor, type DomainRecord } from '../../src/index.js';

export const libvirt = gate('libvirt', await missingForLibvirt());

/** A libvirt of the test's own with one domain that runs, and what a test asks of the two. */
export class TestHost {
  private constructor(
    readonly host: LibvirtHost,
    readonly domain: TestDomain,
  ) {}

  static async start(options: DomainOptions): Promise<TestHost> {
    const host = await LibvirtHost.start();
    try {
      const domain = await startDomain(host, options);
      await waitForHeartbeats(domain.serialPath, (beats) => beats.length >= 4, 120_000);
      return new TestHost(host, domain);
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  /** Of the domain, for an attach. */
  get location(): string {
    return `${this.host.uri}#${this.domain.name}`;
  }

  /** Attaches; emulated guests run with the work-around that COLO needs. */
  async attach(config: Record<string, unknown> = { mode: 'colo' }): Promise<Protected> {
    return new Protected(await hypervisor.attach(this.location, { config, disks: 'external' }));
  }

  async virsh(...args: string[]): Promise<string> {
    return this.host.virsh(...args);
  }

  /** What virsh says when it refuses. */
  async refused(...args: string[]): Promise<string> {
    return this.virsh(...args).then(
      () => 'it was not refused',
      (error: unknown) => String(error),
    );
  }

  async state(): Promise<string> {
    return this.virsh('domstate', this.domain.name);
  }

  /** QEMU's migration capabilities that are on. */
  async capabilities(): Promise<string[]> {
    const text = await this.virsh(
      'qemu-monitor-command',
      this.domain.name,
      '{"execute":"query-migrate-capabilities"}',
    );
    const found = (JSON.parse(text) as { return: { capability: string; state: boolean }[] }).return;
    return found.filter(({ state }) => state).map(({ capability }) => capability);
  }

  async beats(): Promise<Heartbeat[]> {
    return readHeartbeats(this.domain.serialPath);
  }

  /** Waits until each worker has beaten twice more, its memory intact. */
  async beatsOn(): Promise<void> {
    const before = (await this.beats()).length;
    const found = await waitForHeartbeats(
      this.domain.serialPath,
      (beats) => beats.length >= before + 4,
      120_000,
    );
    if (found.some(({ intact }) => !intact)) throw new Error('a worker found its memory corrupt');
  }

  /** Waits until the domain runs, with the settings that libvirt gave it: when the guard of a killed fitdoc is done. */
  async isLetGo(): Promise<void> {
    await this.until('the settings are back', async () =>
      (await this.capabilities().catch(() => [''])).every((each) => each === 'events'),
    );
    await this.until('it runs', async () => (await this.state()) === 'running');
    await this.beatsOn();
  }

  /** Has the domain live on beyond what restored ones will be asked for; gives what it found in its memory. */
  async livesOn(): Promise<Truth> {
    const captured = (await this.beats()).length;
    const enough = (beats: readonly Heartbeat[]): boolean => beats.length >= captured + 6;
    return new Truth(await waitForHeartbeats(this.domain.serialPath, enough, 120_000));
  }

  /** Waits until something is so. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 90_000;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`it never came that ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Writes a checkpoint as the file that libvirt's own save makes; gives its path. */
  async saveImage(checkpoint: KeptCheckpoint): Promise<string> {
    const xml = Buffer.from(`${recordOf(checkpoint).migratableXml}\0`);
    const header = Buffer.alloc(92);
    header.write('LibvirtQemudSave', 'latin1');
    new Uint32Array(header.buffer, header.byteOffset + 16, 3).set([2, xml.length, 1]);
    const path = join(this.host.directory, 'image.save');
    await writeFile(path, Buffer.concat([header, xml]));
    for await (const chunk of qemuStream(checkpoint)) await writeFile(path, chunk, { flag: 'a' });
    return path;
  }

  async stop(): Promise<void> {
    await this.host.stop();
  }
}

/** What a domain's workers found in their memory, to hold what they find when it was brought back against. */
export class Truth {
  readonly #sums = new Map<string, string>();

  constructor(beats: readonly Heartbeat[]) {
    for (const { name, beat, sum } of beats) this.#sums.set(`${name} ${beat}`, sum);
  }

  /** Waits for two beats on a console that began anew: each intact, and as the original had it. */
  async isProved(serialPath: string): Promise<void> {
    const found = await waitForHeartbeats(serialPath, (beats) => beats.length >= 2, 120_000);
    const { name, beat } = found[0]!;
    expect(this.#sums.has(`${name} ${beat}`)).toBe(true);
    for (const each of found) {
      expect(each.intact).toBe(true);
      const original = this.#sums.get(`${each.name} ${each.beat}`);
      if (original !== undefined) expect(each.sum).toBe(original);
    }
  }
}

/** An attached domain with the oracle's memory beside it. */
export class Protected {
  readonly memory: OracleMemory;

  constructor(readonly machine: Machine) {
    this.memory = new OracleMemory(machine.info);
  }

  async capture(): Promise<'full' | 'increment'> {
    return (await this.harvest()).kind;
  }

  /** Takes checkpoints, increments after the first where there are any, and keeps each so many-th. */
  async series(count: number, every: number): Promise<KeptCheckpoint[]> {
    const later = this.machine.supports.increments ? 'increment' : 'full';
    const kept: KeptCheckpoint[] = [];
    for (let number = 1; number <= count; number++) {
      if (number % every === 0) kept.push(await this.keep());
      else expect(await this.capture()).toBe(number === 1 ? 'full' : later);
    }
    return kept;
  }

  async keep(options: CaptureOptions = {}): Promise<KeptCheckpoint> {
    return this.memory.keep(this.machine.info, (await this.harvest(options)).deviceState);
  }

  private async harvest(options: CaptureOptions = {}): ReturnType<Machine['capture']> {
    const harvest = await this.machine.capture(this.memory, options);
    await harvest.commit();
    return harvest;
  }
}

/** A process that attaches and is to be killed; see holder.mjs. */
export function startHolder(
  location: string,
  when: 'pause' | 'between',
): ChildProcessByStdio<null, Readable, null> {
  const program = fileURLToPath(new URL('./holder.mjs', import.meta.url));
  return spawn(process.execPath, [program, location, when], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The domain of a checkpoint. */
export function recordOf({ deviceState }: KeptCheckpoint): DomainRecord {
  const state = deviceState.find(({ name }) => name === DOMAIN_STATE);
  return JSON.parse(Buffer.from(state!.bytes).toString()) as DomainRecord;
}
