import {
  throwIfAborted,
  type CallOptions,
  type DeviceState,
  type MemoryRegion,
  type PageSink,
} from '@fitdoc/interface';
import { parseGuestConfig, type GuestConfig } from '../memory/guest-config.js';
import { PfnSpace, regionsFor } from '../memory/pfn-space.js';
import { StreamCollector } from './collector.js';
import type { ImageHeader, XlHeader } from './headers.js';
import { XenStreamParser, type XenStreamHandler } from './parser.js';

/** A Xen stream that was read: as a checkpoint has it. */
export interface XenStreamContent {
  readonly config: GuestConfig;
  readonly regions: readonly MemoryRegion[];
  readonly deviceState: readonly DeviceState[];
  /** Complete checkpoints in the stream; 1 for that of `xl save`. */
  readonly checkpoints: number;
}

export interface ReadXenStreamOptions extends CallOptions {
  /** Makes the sink once the domain's memory is known. */
  readonly sink: (regions: readonly MemoryRegion[], config: GuestConfig) => PageSink;
  /** Called at each complete checkpoint. False: stop there. */
  readonly onCheckpoint?: (content: XenStreamContent) => boolean;
}

/**
 * Reads a whole stream: what `xl save` wrote, or a recorded `xl remus`, as of its last complete checkpoint.
 * Errors: FORMAT_FOREIGN, FORMAT_UNSUPPORTED, FORMAT_DAMAGED, FORMAT_LIMIT, FORMAT_TRUNCATED.
 */
export async function readXenStream(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadXenStreamOptions,
): Promise<XenStreamContent> {
  const reader = new StreamReader(options);
  const parser = new XenStreamParser(reader);
  for await (const chunk of chunks) {
    throwIfAborted(options.signal);
    parser.push(chunk);
    if (reader.stopped) break;
    options.onProgress?.({ phase: 'reading the stream', done: parser.position, unit: 'bytes' });
  }
  if (!reader.stopped) parser.finish();
  return reader.content();
}

/** A handler whose collector comes into being with the xl header, which tells the layout of the memory. */
class StreamReader implements XenStreamHandler {
  stopped = false;
  #checkpoints = 0;
  #parts: { collector: StreamCollector; config: GuestConfig; regions: MemoryRegion[] } | undefined;
  readonly #options: ReadXenStreamOptions;

  constructor(options: ReadXenStreamOptions) {
    this.#options = options;
  }

  content(): XenStreamContent {
    const { collector, config, regions } = this.#parts!;
    return { config, regions, deviceState: collector.state.deviceState(), checkpoints: this.#checkpoints };
  }

  xlHeader(header: XlHeader): void {
    const config = parseGuestConfig(header.config);
    const regions = regionsFor(config);
    const collector = new StreamCollector(new PfnSpace(regions), {
      onCheckpoint: () => this.#completed(),
      onEnd: () => this.#completed(),
    });
    collector.attach(this.#options.sink(regions, config));
    collector.xlHeader(header);
    this.#parts = { collector, config, regions };
  }

  imageHeader(image: ImageHeader): void {
    this.#parts?.collector.imageHeader(image);
  }

  record(layer: 'libxl' | 'libxc', type: number, body: Uint8Array): void {
    this.#parts?.collector.record(layer, type, body);
  }

  pages(pfns: Uint32Array, types: Uint8Array): void {
    this.#parts?.collector.pages(pfns, types);
  }

  place(pfn: number, count: number): Uint8Array {
    return this.#parts!.collector.place(pfn, count);
  }

  checkpoint(): void {
    this.#parts?.collector.checkpoint();
  }

  end(): void {
    this.#parts?.collector.end();
  }

  #completed(): void {
    this.#checkpoints++;
    if (this.#options.onCheckpoint?.(this.content()) === false) this.stopped = true;
  }
}
