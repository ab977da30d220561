import { createCodec, type Codec } from '@fitdoc/codec';
import { MemoryImage } from '@fitdoc/diff';
import { MAX_BATCH_PAGES } from '@fitdoc/interface';
import { placePages } from '../codec/ways.js';
import type { TraceEpoch } from '../ramtrace.js';
import type { WritingGuest } from './guests.js';

/** How large a guest's objects are. */
export interface Growth {
  /** Encoded bytes of a base. */
  readonly baseBytes: number;
  /** Seconds of the guest that were run to measure it. */
  readonly measured: number;
  /** Encoded bytes of an increment that holds the newest words of so many seconds. */
  bytesOf(seconds: number): number;
}

/** Device state, index and summary of an object of the mock's. */
const OBJECT_BYTES = 1_500;

/**
 * Measures a guest by fitdoc's own image and codec: increments over 1, 2, 4, … seconds, one after the other, until so
 * many milliseconds are over. Beyond the longest they go on as between the last two, and never weigh more than a base.
 */
export async function measureGrowth(guest: WritingGuest, mostMs: number): Promise<Growth> {
  const [codec, image] = [await createCodec(), MemoryImage.create({ pages: guest.pages })];
  await take(image, guest.base);
  encode(image, codec);
  const points: [number, number][] = [];
  const began = performance.now();
  let measured = 0;
  for (let seconds = 1; performance.now() - began < mostMs; seconds *= 2) {
    const samples = seconds < 16 ? 4 : 1;
    let bytes = 0;
    for (let sample = 0; sample < samples; sample++) {
      for (let second = 0; second < seconds; second++) await take(image, guest.next());
      bytes += OBJECT_BYTES + encode(image, codec);
      measured += seconds;
    }
    points.push([seconds, bytes / samples]);
  }
  const baseBytes = await baseOf(guest, codec);
  return { baseBytes, measured, bytesOf: (seconds) => Math.min(baseBytes, interpolate(points, seconds)) };
}

/** Of a recorded guest, which is not known whole: what such a guest's base is known to take. */
const RECORDED_BASE_BYTES = 40e6;

async function baseOf(guest: WritingGuest, codec: Codec): Promise<number> {
  if (!guest.all) return RECORDED_BASE_BYTES;
  const image = MemoryImage.create({ pages: guest.pages });
  await take(image, guest.all());
  return OBJECT_BYTES + encode(image, codec);
}

async function take(image: MemoryImage, { gfns, pages }: TraceEpoch): Promise<void> {
  image.beginCapture();
  placePages(image, gfns, pages);
  await image.settle();
}

/** Encoded bytes of what is pending, which then is no more. */
function encode(image: MemoryImage, codec: Codec): number {
  const pending = image.pending();
  let bytes = 0;
  for (let at = 0; at < pending.length; at += MAX_BATCH_PAGES)
    bytes += codec.encode(image.gather(pending.subarray(at, at + MAX_BATCH_PAGES))).bytes.length;
  image.clearPending();
  return bytes;
}

/** Along straight lines between logarithms. */
function interpolate(points: readonly (readonly [number, number])[], seconds: number): number {
  let at = points.findIndex(([end]) => end >= seconds);
  if (at === 0) return points[0]![1];
  if (at < 0) at = points.length - 1;
  const [[from, fromBytes], [to, toBytes]] = [points[at - 1]!, points[at]!];
  const slope = Math.min(1, Math.max(0, Math.log(toBytes / fromBytes) / Math.log(to / from)));
  return fromBytes * (seconds / from) ** slope;
}
