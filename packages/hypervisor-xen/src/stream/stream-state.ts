import { FitdocError, type DeviceState } from '@fitdoc/interface';
import { OutsidePages } from '../memory/outside-pages.js';
import { PageTypes } from '../memory/page-types.js';
import { dataView, type ImageHeader, type XlHeader } from './headers.js';
import { LIBXC, libxcName, LIBXL, precedesPages } from './layout.js';

/** A record as kept in a checkpoint. */
export interface StoredRecord {
  readonly layer: 'libxl' | 'libxc';
  readonly type: number;
  readonly body: Uint8Array;
}

/** Everything of a domain besides its pages in regions: what a checkpoint keeps as device state. */
export class StreamState {
  xl: XlHeader = { mandatoryFlags: 3, optionalFlags: 0, config: '' };
  image: ImageHeader | undefined;
  readonly types = new PageTypes();
  readonly outside = new OutsidePages();
  #before: StoredRecord[] = [];
  #after: StoredRecord[] = [];
  #last: StoredRecord[] = [];

  /** Takes a record that belongs to the checkpoint under way. */
  record(layer: 'libxl' | 'libxc', type: number, body: Uint8Array): void {
    const record = { layer, type, body };
    if (layer === 'libxl' || !precedesPages(type)) {
      this.#after.push(record);
      return;
    }
    const known = this.#before.findIndex((each) => each.type === type);
    if (known < 0) this.#before.push(record);
    else this.#before[known] = record;
  }

  /** The checkpoint under way is complete: its records replace those of the last one. */
  complete(): void {
    this.#last = this.#after;
    this.#after = [];
  }

  /** The last complete checkpoint's state. Errors: PROTOCOL_ERROR where a part is missing. */
  deviceState(): DeviceState[] {
    if (this.image === undefined || this.#last.length === 0) {
      throw new FitdocError('PROTOCOL_ERROR', 'The stream completed a checkpoint without any vCPU state.');
    }
    const image = new Uint8Array(12);
    dataView(image).setUint32(0, this.image.guestType, true);
    dataView(image).setUint32(4, this.image.xenMajor, true);
    dataView(image).setUint32(8, this.image.xenMinor, true);
    return [
      { name: 'xen/config', bytes: new TextEncoder().encode(this.xl.config) },
      { name: 'xen/image', bytes: image },
      ...this.#before.map((record, index) => stateOf('before', record, index)),
      ...this.#last.map((record, index) => stateOf('after', record, index)),
      { name: 'xen/pages', bytes: this.types.encode().slice() },
      ...(this.outside.size > 0 ? [{ name: 'xen/outside', bytes: this.outside.encode() }] : []),
    ];
  }
}

function stateOf(place: 'before' | 'after', record: StoredRecord, index: number): DeviceState {
  const number = `${record.layer}-${record.type.toString(16).padStart(2, '0')}`;
  const label = record.layer === 'libxc' ? libxcName(record.type) : libxlName(record.type);
  return { name: `xen/${place}/${String(index).padStart(3, '0')}/${number}/${label}`, bytes: record.body };
}

function libxlName(type: number): string {
  return type === LIBXL.EMULATOR_CONTEXT ? 'emulator-context' : 'emulator-xenstore-data';
}

/** The parts of a checkpoint's device state, taken apart again. */
export interface RestoredState {
  readonly config: string;
  readonly image: ImageHeader;
  readonly before: readonly StoredRecord[];
  readonly after: readonly StoredRecord[];
  readonly pages: Uint8Array;
  readonly outside: Uint8Array | undefined;
}

/** Reads what `StreamState.deviceState` gave. Errors: MACHINE_INCOMPATIBLE where it is not of Xen. */
export function readDeviceState(states: readonly DeviceState[]): RestoredState {
  const named = new Map(states.map((state) => [state.name, state.bytes]));
  const config = named.get('xen/config');
  const image = named.get('xen/image');
  const pages = named.get('xen/pages');
  if (!config || image?.length !== 12 || !pages) {
    throw new FitdocError('MACHINE_INCOMPATIBLE', 'The checkpoint does not hold the state of a Xen domain.', {
      hint: 'Restore it with the adapter that captured it; `fitdoc info` names it.',
    });
  }
  const view = dataView(image);
  return {
    config: new TextDecoder().decode(config),
    image: {
      guestType: view.getUint32(0, true),
      xenMajor: view.getUint32(4, true),
      xenMinor: view.getUint32(8, true),
    },
    before: recordsOf(states, 'before'),
    after: recordsOf(states, 'after'),
    pages,
    outside: named.get('xen/outside'),
  };
}

function recordsOf(states: readonly DeviceState[], place: string): StoredRecord[] {
  return states
    .map((state) => ({ parts: state.name.split('/'), body: state.bytes }))
    .filter(({ parts }) => parts[0] === 'xen' && parts[1] === place)
    .sort((a, b) => Number(a.parts[2]) - Number(b.parts[2]))
    .map(({ parts, body }) => {
      const [layer, type] = (parts[3] ?? '').split('-');
      return { layer: layer === 'libxl' ? 'libxl' : 'libxc', type: parseInt(type ?? '', 16), body };
    });
}

/** Whether the records let a domain run: a guest without vCPU state would restore to nothing. */
export function hasVcpuState(state: RestoredState): boolean {
  const types = new Set(state.after.map((record) => record.type));
  return types.has(LIBXC.HVM_CONTEXT) || types.has(LIBXC.X86_PV_VCPU_BASIC);
}
