import { FitdocError } from '@fitdoc/interface';
import zstd from '@foxglove/wasm-zstd';

const MAGIC = 0xfd2fb528;
/** What a recording may unpack to: the WebAssembly decoder holds input and output at once. */
const MOST = 1.5 * 2 ** 30;

/**
 * Unpacks a zstd stream of one frame whole. Errors: LOCATION_INVALID when it is none, or damaged.
 */
export async function unpack(packed: Uint8Array, file: string): Promise<Uint8Array> {
  await zstd.isLoaded;
  const known = contentSize(packed, file);
  if (known !== undefined && known > MOST) throw refuse(file, `it unpacks to ${known} bytes`);
  // A frame written to a pipe does not tell its size: try with growing room.
  for (let room = known ?? packed.length * 16; ; room *= 4) {
    try {
      const bytes = zstd.decompress(packed, Math.min(room, MOST));
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    } catch (cause) {
      if (known !== undefined || room >= MOST) throw refuse(file, 'it is damaged or too large', cause);
    }
  }
}

/** The size of the first frame's content (RFC 8878, 3.1.1.1), if its header tells it. */
function contentSize(packed: Uint8Array, file: string): number | undefined {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 18 || view.getUint32(0, true) !== MAGIC) throw refuse(file, 'it is no zstd stream');
  const descriptor = view.getUint8(4);
  const single = (descriptor >> 5) & 1;
  const at = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  switch (descriptor >> 6) {
    case 0:
      return single ? view.getUint8(at) : undefined;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

export function refuse(file: string, why: string, cause?: unknown): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${file}" cannot be used as a recording: ${why}.`, {
    cause,
    hint: 'Give the path of a .ramtrace.zst file, as tools/recorder makes them.',
  });
}
