import path from 'node:path';
import {
  chooseDisks,
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type AttachOptions,
  type Hypervisor,
  type Machine,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { faultsOf } from './faults.js';
import { parseMockLocation, type MockLocation } from './location.js';
import { loadMachine, saveMachine } from './machine-file.js';
import { infoOf, nameOfPath } from './machine-info.js';
import { MockGuest } from './mock-guest.js';
import { MockMachine } from './mock-machine.js';
import { checkSource, restoreFile, restoreGuest } from './restore.js';
import { groupOf, parseSettings, type Settings } from './settings.js';
import { shapeOf, type Shape } from './shape.js';
import { readTrace, type Trace } from './trace-file.js';
import { TracePlayer } from './trace-player.js';

/** A hypervisor whose machines live in this process. Each instance has machines of its own. */
export class MockHypervisor implements Hypervisor {
  readonly specificationVersion = 'hypervisor-v1';
  readonly scheme = 'mock';
  readonly supports = Object.freeze({ attach: true, restore: true });
  readonly #guests = new Map<string, MockGuest>();
  readonly #attached = new Set<MockGuest>();

  /** The machine of that name, if it was attached to or restored here. */
  machine(name: string): MockGuest | undefined {
    return this.#guests.get(name);
  }

  /** Takes a machine away: the next attach by its name boots it afresh. */
  forget(name: string): void {
    this.#guests.delete(name);
  }

  async attach(location: string, options: AttachOptions = {}): Promise<Machine> {
    throwIfAborted(options.signal);
    const place = parseMockLocation(location);
    const settings = parseSettings(place.query, options.config, ATTACH_GROUPS[place.kind]);
    const guest = await this.#find(place, settings, options.signal);
    checkMachineId(options.machineId);
    if (guest.dead) throw notRunning(guest);
    if (this.#attached.has(guest)) throw busy(guest);
    const size = settings['disk-size'];
    if (size !== undefined) for (const disk of guest.disks) disk.resize(Number(size));
    const found = infoOf(guest, options.machineId);
    // A machine in a file has no place there for its disks.
    const { capture, disks } = chooseDisks(found.disks, options, place.kind !== 'file');
    const info = { ...found, disks };
    const brought = guest.disks.filter((_, index) => disks[index]?.leftOut !== true);
    const limits = await findRecording(guest, options.signal);
    throwIfAborted(options.signal);
    const faults = faultsOf(settings);
    if (Object.keys(faults).length > 0) guest.faults = faults;
    this.#attached.add(guest);
    return new MockMachine(guest, {
      info,
      disks: capture ? brought : [],
      limits,
      steps: Number(settings.steps ?? 1),
      tick: Number(settings.tick ?? 0),
      onDetach: async () => {
        try {
          if (place.kind === 'file' && !guest.dead) await saveMachine(place.target, guest);
        } finally {
          this.#attached.delete(guest);
        }
      },
    });
  }

  async restore(
    location: string,
    source: RestoreSource,
    options: RestoreOptions = {},
  ): Promise<RestoreReport> {
    throwIfAborted(options.signal);
    const place = parseMockLocation(location);
    if (place.kind === 'trace') throw noTarget(location);
    const settings = parseSettings(place.query, options.config, ['shape', 'restore']);
    const existing = place.kind === 'name' ? this.#guests.get(place.target) : undefined;
    if (existing && this.#attached.has(existing)) throw busy(existing);
    const devices = checkSource(source, { settings: groupOf(settings, 'shape'), existing });
    const how = { ...options, proof: settings.proof !== 'no' };
    if (place.kind === 'file') return restoreFile(place.target, source, devices, how);
    const { guest, report } = await restoreGuest(place.target, source, how);
    this.#guests.set(place.target, guest);
    return report;
  }

  async #find(place: MockLocation, settings: Settings, signal?: AbortSignal): Promise<MockGuest> {
    if (place.kind === 'trace') return replay(place.target, Number(settings.from ?? 0), signal);
    if (place.kind === 'file') return loadMachine(place.target, signal);
    const shape = groupOf(settings, 'shape');
    const known = this.#guests.get(place.target);
    if (!known) {
      const guest = MockGuest.boot(place.target, shapeOf(shape));
      this.#guests.set(place.target, guest);
      return guest;
    }
    for (const [name, value] of Object.entries(shape)) {
      const actual = known.shape[name as keyof Shape];
      if (actual !== value) throw otherShape(known, `${name} ${actual}, not ${value}`);
    }
    return known;
  }
}

const ATTACH_GROUPS = {
  name: ['shape', 'run', 'fault'],
  file: ['run', 'fault'],
  trace: ['run', 'fault'],
} as const;

async function replay(file: string, from: number, signal?: AbortSignal): Promise<MockGuest> {
  const trace = await readTrace(file, signal);
  const guest = MockGuest.boot(nameOfPath(file), traceShape(trace), path.resolve(file));
  guest.player = new TracePlayer(trace);
  guest.run(Math.min(from, trace.epochs.length));
  return guest;
}

function traceShape({ memoryPages, base }: Trace): Shape {
  const memory = memoryPages * PAGE_SIZE;
  const working = base.gfns.length * PAGE_SIZE;
  const none = { seed: 0, rate: 0, cluster: 1, words: 1, rewrites: 0, disks: 0 };
  return { workload: 'trace', memory, resident: working, working, ...none };
}

/**
 * A restored machine that replays a recording goes on with it when the recording is still there; otherwise it
 * stands still. Gives the limit that this is, for people.
 */
async function findRecording(guest: MockGuest, signal?: AbortSignal): Promise<string[]> {
  const { recording } = guest.devices.board;
  if (guest.player || recording === undefined) return [];
  try {
    guest.player = new TracePlayer(await readTrace(recording, signal));
    return [];
  } catch (error) {
    if (!isFitdocError(error, 'MACHINE_NOT_FOUND')) throw error;
    return [`The recording ${recording} is not there any more, so the machine stands still.`];
  }
}

function checkMachineId(id: string | undefined): void {
  if (id === undefined || /^[A-Za-z0-9._-]{1,64}$/.test(id)) return;
  throw new FitdocError('ARGUMENT_INVALID', `"${id}" cannot be a machine's identity.`, {
    hint: 'Use 1 to 64 letters, digits, dots, dashes and underscores.',
  });
}

function notRunning({ name }: MockGuest): FitdocError {
  return new FitdocError('MACHINE_NOT_FOUND', `The mock machine ${name} does not run any more.`, {
    hint: 'Restore a checkpoint to its name, or forget it for a fresh boot.',
  });
}

function busy({ name }: MockGuest): FitdocError {
  return new FitdocError('MACHINE_BUSY', `The mock machine ${name} is attached to already.`, {
    hint: 'Detach from it first.',
    retryable: true,
  });
}

function noTarget(location: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${location}" is a recording, and nothing restores to one.`, {
    hint: 'Restore to mock:NAME or mock:file:PATH.',
  });
}

function otherShape({ name }: MockGuest, difference: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', `The mock machine ${name} runs already, with ${difference}.`, {
    hint: 'Leave the parameters out to attach to it as it is, or use another name.',
  });
}
