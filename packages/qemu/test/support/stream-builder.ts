import { StreamBuffer } from '../../src/stream/stream-buffer.js';

export interface Record {
  readonly block: string;
  readonly page: number;
  /** A fill byte for a page of its own; 0 as `zero: true` makes it a zero record. */
  readonly fill: number;
  readonly zero?: boolean;
}

/** Writes QEMU's streams for tests, field by field, apart from the product's writer. */
export class StreamBuilder {
  readonly out = new StreamBuffer();
  private last: string | undefined;

  constructor(
    readonly blocks: readonly (readonly [string, number])[],
    readonly section = 2,
  ) {}

  /** `ahead`, `behind`: sections of devices around the one that lists the RAM blocks. */
  header(ahead: readonly Uint8Array[] = [], behind: readonly Uint8Array[] = []): this {
    const { out } = this;
    out.text('QEVM');
    out.uint32(3);
    out.byte(7);
    out.uint32(8);
    out.text('pc-test1');
    this.command(8);
    for (const each of ahead) out.bytes(each);
    out.byte(1);
    out.uint32(this.section);
    out.named('ram');
    out.uint32(0);
    out.uint32(4);
    out.uint64(this.blocks.reduce((sum, [, pages]) => sum + pages * 4096, 0) + 4);
    for (const [name, pages] of this.blocks) {
      out.named(name);
      out.uint64(pages * 4096);
    }
    out.uint64(0x10);
    this.footer();
    for (const each of behind) out.bytes(each);
    return this;
  }

  ram(type: 2 | 3, records: readonly Record[]): this {
    const { out } = this;
    out.byte(type);
    out.uint32(this.section);
    for (const { block, page, fill, zero } of records) {
      const again = block === this.last;
      out.uint64(page * 4096 + (zero ? 2 : 8) + (again ? 0x20 : 0));
      if (!again) out.named(block);
      this.last = block;
      if (zero) out.byte(fill);
      else out.bytes(new Uint8Array(4096).fill(fill));
    }
    out.uint64(0x10);
    return this.footer();
  }

  command(number: number): this {
    this.out.byte(8);
    this.out.uint32(number * 0x1_0000);
    return this;
  }

  /** Device sections and the description that ends a precopy; returns the device bytes. */
  devices(fill: Uint8Array): Uint8Array {
    const devices = deviceSections(fill);
    this.out.bytes(devices);
    const description = '{"devices": []}';
    this.out.byte(6);
    this.out.uint32(description.length);
    this.out.text(description);
    return devices;
  }

  checkpoint(records: readonly Record[], fill: Uint8Array): Uint8Array {
    this.out.uint32(1);
    this.out.uint32(3);
    this.command(11).ram(3, records);
    this.out.byte(0);
    const devices = deviceSections(fill);
    this.out.uint32(4);
    this.out.uint64(devices.length);
    this.out.bytes(devices);
    return devices;
  }

  private footer(): this {
    this.out.byte(0x7e);
    this.out.uint32(this.section);
    return this;
  }
}

/** A device's section with this body. */
export function fullSection(id: number, name: string, body: Uint8Array): Uint8Array {
  const out = new StreamBuffer();
  out.byte(4);
  out.uint32(id);
  out.named(name);
  out.uint32(0);
  out.uint32(1);
  out.bytes(body);
  out.byte(0x7e);
  out.uint32(id);
  return out.take();
}

function deviceSections(fill: Uint8Array): Uint8Array {
  const out = new StreamBuffer();
  for (const id of [3, 4]) out.bytes(fullSection(id, `device${id}`, fill));
  out.byte(0);
  return out.take();
}
