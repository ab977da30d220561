import { randomBytes } from 'node:crypto';
import { DOMParser, XMLSerializer, type Document, type Element } from '@xmldom/xmldom';
import { FitdocError } from '@fitdoc/interface';

/** A disk of a domain's XML, as far as a file or a block device is behind it. */
export interface XmlDisk {
  readonly target: string;
  readonly source: string;
  /** The guest may write to it, and no other domain is meant to. */
  readonly own: boolean;
}

/** Where an operator's tags are: `virsh metadata DOMAIN --uri urn:fitdoc:tags --key fitdoc --set '<tags>nightly</tags>'`. */
const TAGS = 'urn:fitdoc:tags';

/** What differs between a domain and a clone of it. */
export interface CloneChanges {
  readonly name: string;
  readonly uuid: string;
}

/** A domain's XML, for what a restore looks up and changes in it. */
export class DomainXml {
  private readonly document: Document;
  private readonly root: Element;

  /** RESTORE_FAILED where it is none. */
  constructor(text: string) {
    try {
      this.document = new DOMParser({
        onError: (level, message) => {
          if (level !== 'warning') throw new Error(message);
        },
      }).parseFromString(text, 'text/xml');
      const root = this.document.documentElement;
      if (root?.tagName !== 'domain') throw new Error(`its root is ${root?.tagName ?? 'missing'}`);
      this.root = root;
    } catch (cause) {
      throw new FitdocError('RESTORE_FAILED', "The checkpoint's XML of the domain cannot be read.", {
        cause,
        hint: 'Export the memory as a stream (fitdoc export --format qemu) and restore it to kvm:.',
      });
    }
  }

  get virtType(): string {
    return this.root.getAttribute('type') ?? '';
  }

  get emulator(): string {
    return this.text('devices', 'emulator') ?? '';
  }

  get machine(): string {
    return this.find('os', 'type')[0]?.getAttribute('machine') ?? '';
  }

  get architecture(): string {
    return this.find('os', 'type')[0]?.getAttribute('arch') ?? '';
  }

  /** Its `<cpu>` as it stands there. */
  get cpu(): string | undefined {
    const cpu = this.find('cpu')[0];
    return cpu === undefined ? undefined : new XMLSerializer().serializeToString(cpu);
  }

  get nvram(): string | undefined {
    return this.text('os', 'nvram');
  }

  get disks(): XmlDisk[] {
    return this.diskElements().map(([target, source, disk]) => ({
      target,
      source: source.value,
      own: children(disk, 'readonly').length === 0 && children(disk, 'shareable').length === 0,
    }));
  }

  /** Files that must be there for it to start: what it boots, and its disks. */
  get files(): string[] {
    const booted = ['kernel', 'initrd', 'dtb', 'loader'].flatMap((name) => this.text('os', name) ?? []);
    return [...new Set([...booted, ...this.disks.map(({ source }) => source)])].filter((path) =>
      path.startsWith('/'),
    );
  }

  /** Names of libvirt's networks that it is plugged into. */
  get networks(): string[] {
    return unique(
      this.find('devices', 'interface', 'source').map((source) => source.getAttribute('network')),
    );
  }

  /** UUIDs of libvirt's secrets that it uses. */
  get secrets(): string[] {
    const found = [...this.root.getElementsByTagName('secret')].map((secret) => secret.getAttribute('uuid'));
    return unique(found);
  }

  /** Bytes; libvirt prints KiB. */
  get memoryBytes(): number | undefined {
    const memory = this.find('memory')[0];
    const unit = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[memory?.getAttribute('unit') ?? 'KiB'];
    const value = Number(memory?.textContent ?? Number.NaN);
    return unit === undefined || !(value > 0) ? undefined : value * unit;
  }

  /** Words of its metadata that its operator has written there for us. */
  get tags(): string[] {
    const found = [...this.root.getElementsByTagNameNS(TAGS, 'tags')];
    return unique(found.flatMap(({ textContent }) => (textContent ?? '').split(/[\s,]+/)));
  }

  /** Devices of the host's that it was given. */
  get hostDevices(): number {
    return this.find('devices', 'hostdev').length;
  }

  /** Other files behind disks. ARGUMENT_INVALID for a disk that is not there. */
  replaceDisks(files: ReadonlyMap<string, string>): void {
    const disks = this.diskElements();
    for (const [target, file] of files) {
      const found = disks.find(([name]) => name === target);
      if (found === undefined)
        throw new FitdocError('ARGUMENT_INVALID', `The domain has no disk ${target} on a file.`, {
          hint: `It has: ${disks.map(([name]) => name).join(', ') || 'none'}.`,
        });
      const [, source, disk] = found;
      source.value = file;
      // What lay under the old file is not under the new one.
      for (const chain of children(disk, 'backingStore')) disk.removeChild(chain);
    }
  }

  replaceNvram(file: string): void {
    const nvram = this.find('os', 'nvram')[0];
    if (nvram !== undefined) nvram.textContent = file;
  }

  /**
   * Makes it another domain: name, UUID, hardware addresses of its network cards, and files that its serial consoles
   * are written into, which get the name behind theirs.
   */
  becomeClone({ name, uuid }: CloneChanges): void {
    this.setText('name', name);
    this.setText('uuid', uuid);
    for (const mac of this.find('devices', 'interface', 'mac')) mac.setAttribute('address', randomMac());
    for (const kind of ['serial', 'console', 'parallel', 'channel'])
      for (const source of this.find('devices', kind, 'source')) {
        const path = source.getAttribute('path');
        const type = (source.parentNode as Element).getAttribute('type');
        if (path && (type === 'file' || type === 'unix')) source.setAttribute('path', `${path}.${name}`);
      }
  }

  toString(): string {
    return new XMLSerializer().serializeToString(this.document);
  }

  private diskElements(): [target: string, source: { value: string }, disk: Element][] {
    return this.find('devices', 'disk').flatMap((disk) => {
      const target = children(disk, 'target')[0]?.getAttribute('dev');
      const source = children(disk, 'source')[0];
      const attribute = ['file', 'dev'].find((name) => source?.hasAttribute(name));
      if (!target || source === undefined || attribute === undefined) return [];
      const place = {
        get value(): string {
          return source.getAttribute(attribute) ?? '';
        },
        set value(path: string) {
          // A file may take the place of a block device, and the other way round by its path alone.
          source.setAttribute(attribute, path);
        },
      };
      return [[target, place, disk]];
    });
  }

  private find(...path: readonly string[]): Element[] {
    return path.reduce<Element[]>(
      (found, name) => found.flatMap((each) => children(each, name)),
      [this.root],
    );
  }

  private text(...path: readonly string[]): string | undefined {
    return this.find(...path)[0]?.textContent?.trim() || undefined;
  }

  private setText(name: string, value: string): void {
    const found =
      this.find(name)[0] ?? this.root.insertBefore(this.document.createElement(name), this.root.firstChild);
    found.textContent = value;
  }
}

function children(parent: Element, name: string): Element[] {
  return [...parent.childNodes].filter((node): node is Element => (node as Element).tagName === name);
}

function unique(values: readonly (string | null)[]): string[] {
  return [...new Set(values.flatMap((value) => value || []))];
}

/** In the range that QEMU's guests have by custom. */
function randomMac(): string {
  return ['52', '54', '00', ...[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0'))].join(
    ':',
  );
}
