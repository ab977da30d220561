import { writeSync } from 'node:fs';

/** A line that came, and the descriptors that came with it, which are the reader's to close. */
export interface Received {
  readonly line: string;
  readonly descriptors: readonly number[];
}

/** The C library's calls for a unix socket that descriptors come through. */
interface Calls {
  recvmsg(socket: number, message: object, flags: number): Promise<number>;
  close(descriptor: number): void;
}

const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const CHUNK_BYTES = 64 << 10;

/** Lines of JSON over a unix socket, both ways. It blocks, in another thread where it reads. */
export class Wire {
  private constructor(
    private readonly calls: Calls,
    private readonly socket: number,
  ) {}

  static async open(socket: number): Promise<Wire> {
    return new Wire(await bind(), socket);
  }

  /** Writes a line. What cannot be written, as nobody reads any more, is nobody's loss. */
  send(message: object): void {
    const bytes = Buffer.from(`${JSON.stringify(message)}\r\n`);
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.socket, bytes, done);
    } catch {
      // Whoever reads lines learns of it.
    }
  }

  /** Lines until the other end is closed. */
  async *lines(): AsyncGenerator<Received, void> {
    let text = '';
    let descriptors: number[] = [];
    const decoder = new TextDecoder();
    for (;;) {
      const part = await this.receive();
      if (part === undefined) return;
      descriptors.push(...part.descriptors);
      text += decoder.decode(part.bytes, { stream: true });
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end).trim();
        text = text.slice(end + 1);
        // A descriptor comes with the first byte of its line, and ends what is received at a time.
        if (line !== '') yield { line, descriptors: text === '' ? descriptors : [] };
        if (text === '') descriptors = [];
      }
    }
  }

  close(descriptor: number): void {
    this.calls.close(descriptor);
  }

  private async receive(): Promise<{ bytes: Uint8Array; descriptors: number[] } | undefined> {
    const bytes = new Uint8Array(CHUNK_BYTES);
    const control = new Uint8Array(64);
    const message = {
      ...{ name: null, nameLength: 0, parts: [{ base: bytes, length: bytes.length }], partCount: 1 },
      ...{ control, controlLength: control.length, flags: 0 },
    };
    const count = await this.calls.recvmsg(this.socket, message, MSG_CMSG_CLOEXEC);
    if (count <= 0) return undefined;
    return { bytes: bytes.subarray(0, count), descriptors: descriptorsIn(control) };
  }
}

/** Of a `struct cmsghdr` (its length as size_t, level, type) that brings descriptors. */
function descriptorsIn(control: Uint8Array): number[] {
  const length = Number(new BigUint64Array(control.buffer, 0, 1)[0]);
  const [level, type] = new Int32Array(control.buffer, 8, 2);
  if (length <= 16 || level !== SOL_SOCKET || type !== SCM_RIGHTS) return [];
  return [...new Int32Array(control.buffer, 16, (length - 16) / 4)];
}

async function bind(): Promise<Calls> {
  const { default: koffi } = await import('koffi');
  const part = koffi.struct({ base: 'void *', length: 'size_t' });
  // struct msghdr of 64-bit Linux.
  const message = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    parts: koffi.pointer(part),
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const library = koffi.load(null);
  const recvmsg = library.func('recvmsg', 'long', ['int', koffi.pointer(message), 'int']);
  const close = library.func('int close(int descriptor)');
  return {
    recvmsg: async (socket, header, flags) =>
      new Promise((resolve, reject) => {
        recvmsg.async(socket, header, flags, (error: Error | null, count: number | bigint) =>
          error ? reject(error) : resolve(Number(count)),
        );
      }),
    close: (descriptor) => void close(descriptor),
  };
}
