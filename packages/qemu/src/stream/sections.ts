import { damaged, type ByteQueue, type Parse } from './byte-queue.js';
import { readEarlySection } from './early.js';
import {
  RAM_VERSION,
  SECTION_COMMAND,
  SECTION_CONFIGURATION,
  SECTION_END,
  SECTION_FOOTER,
  SECTION_FULL,
  SECTION_PART,
  SECTION_START,
  SECTION_SUBSECTION,
  STREAM_MAGIC,
  STREAM_VERSION,
  type RamBlock,
} from './layout.js';
import type { PageSink } from '@fitdoc/interface';
import { RamReader } from './ram.js';

/** What a stream says before its first page. */
export interface StreamHeader {
  /** Versioned machine type: `pc-q35-7.2`. */
  readonly machineType: string;
  /** The configuration section as it came, its type byte included; empty when there was none. */
  readonly configuration: Uint8Array;
  readonly blocks: readonly RamBlock[];
}

/** Reads one connection's stream: header, precopy, and the RAM sections of the checkpoints that follow. */
export class SectionReader {
  readonly ram: RamReader;
  /** Sections of devices that came ahead of memory, in their order; COLO's checkpoints have them among the others. */
  readonly early: Uint8Array[] = [];
  private ramSection = -1;

  constructor(private readonly queue: ByteQueue) {
    this.ram = new RamReader(queue);
  }

  /** Reads up to and with the section that lists the RAM blocks. */
  *readHeader(): Parse<StreamHeader> {
    const { queue } = this;
    while (queue.available < 8) yield 8;
    if (queue.uint32() !== STREAM_MAGIC) throw damaged(0, 'no QEMU magic');
    const version = queue.uint32();
    if (version !== STREAM_VERSION) throw damaged(4, `version ${version}`);
    let configuration: Configuration = { machineType: '', bytes: new Uint8Array(0) };
    let type = yield* this.readType();
    if (type === SECTION_CONFIGURATION) {
      configuration = yield* this.readConfiguration();
      type = yield* this.readType();
      // Sent only with migration capabilities that an attach turns off: a stream with them is not ours.
      if (type === SECTION_SUBSECTION)
        throw damaged(queue.position - 1, 'capabilities that fitdoc turned off');
    }
    while (type === SECTION_COMMAND || type === SECTION_FULL) {
      yield* this.readBetween(type);
      type = yield* this.readType();
    }
    if (type !== SECTION_START)
      throw damaged(queue.position - 1, `section type ${type} where RAM should start`);
    const blocks = yield* this.readRamStart();
    return { machineType: configuration.machineType, configuration: configuration.bytes, blocks };
  }

  /**
   * Reads RAM sections, and commands between them, to the end of the RAM END section. Both a precopy and each
   * checkpoint of COLO hold such a sequence.
   */
  *readRam(sink: PageSink): Parse<void> {
    const { queue } = this;
    for (;;) {
      const type = yield* this.readType();
      if (type === SECTION_COMMAND || type === SECTION_FULL) {
        yield* this.readBetween(type);
        continue;
      }
      if (type !== SECTION_PART && type !== SECTION_END)
        throw damaged(queue.position - 1, `section type ${type} among the RAM sections`);
      while (queue.available < 4) yield 4;
      const section = queue.uint32();
      if (section !== this.ramSection)
        throw damaged(
          queue.position - 4,
          `a device that is sent in parts (section ${section}), which fitdoc cannot keep`,
        );
      yield* this.ram.readPages(sink);
      yield* this.readFooter();
      if (type === SECTION_END) return;
    }
  }

  *readType(): Parse<number> {
    while (this.queue.available < 1) yield 1;
    return this.queue.byte();
  }

  private *readConfiguration(): Parse<Configuration> {
    const { queue } = this;
    while (queue.available < 4) yield 4;
    const length = queue.uint32();
    if (length === 0 || length > 255) throw damaged(queue.position - 4, `a machine name of ${length} bytes`);
    while (queue.available < length) yield length;
    const machineType = queue.text(length);
    const bytes = new Uint8Array(5 + length);
    bytes[0] = SECTION_CONFIGURATION;
    new DataView(bytes.buffer).setUint32(1, length);
    bytes.set(Buffer.from(machineType, 'latin1'), 5);
    return { machineType, bytes };
  }

  /** What may stand between the RAM sections: commands, and devices that are sent ahead of memory. */
  private *readBetween(type: number): Parse<void> {
    if (type === SECTION_COMMAND) yield* this.skipCommand();
    else this.early.push(yield* readEarlySection(this.queue));
  }

  private *skipCommand(): Parse<void> {
    const { queue } = this;
    while (queue.available < 4) yield 4;
    queue.uint16();
    const length = queue.uint16();
    while (queue.available < length) yield length;
    queue.text(length);
  }

  private *readRamStart(): Parse<readonly RamBlock[]> {
    const { queue } = this;
    while (queue.available < 5) yield 5;
    this.ramSection = queue.uint32();
    const length = queue.byte();
    while (queue.available < length + 8) yield length + 8;
    const name = queue.text(length);
    queue.uint32();
    const version = queue.uint32();
    if (name !== 'ram')
      throw damaged(queue.position, `a device that is sent in parts (${name}), which fitdoc cannot keep`);
    if (version !== RAM_VERSION) throw damaged(queue.position - 4, `a RAM section of version ${version}`);
    const blocks = yield* this.ram.readSetup();
    yield* this.readFooter();
    return blocks;
  }

  private *readFooter(): Parse<void> {
    const { queue } = this;
    while (queue.available < 5) yield 5;
    const type = queue.byte();
    const section = queue.uint32();
    if (type !== SECTION_FOOTER || section !== this.ramSection)
      throw damaged(queue.position - 5, 'no footer after a RAM section');
  }
}

interface Configuration {
  readonly machineType: string;
  readonly bytes: Uint8Array;
}
