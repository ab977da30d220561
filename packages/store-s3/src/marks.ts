/** Metadata of every object: the put that stored it, by which a put knows its own work again. */
export const STORED_BY = 'fitdoc-put';
/** Metadata of a placeholder: the multipart upload that is about to be completed under its key. */
export const RESERVED_BY = 'fitdoc-reserved-by';

/** Length of every placeholder, by which a listing suspects one. */
export const RESERVATION_BYTES = 1021;

/** Segments that start with a dot are in no key, so what is here is never listed. */
export const HIDDEN = '.fitdoc';

/** Other in each reservation, so that its ETag is its own. */
export function reservationBody(storedBy: string, uploadId: string): Uint8Array {
  const text = `A fitdoc upload is about to be completed here.\n${storedBy}\n${uploadId}\n`;
  return new TextEncoder().encode(text.slice(0, RESERVATION_BYTES).padEnd(RESERVATION_BYTES));
}
