import { FitdocError, type ByteRange } from '@fitdoc/interface';

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** Throws ARGUMENT_INVALID unless `key` is one that the store port allows. */
export function checkKey(key: string): void {
  const good = key.length <= 512 && key.split('/').every((segment) => SEGMENT.test(segment));
  if (good && !key.includes('\n')) return;
  throw new FitdocError('ARGUMENT_INVALID', `Not a key for an object: ${JSON.stringify(key.slice(0, 80))}.`, {
    hint: 'A key has 1 to 512 characters of A-Z a-z 0-9 . _ - and /; no segment is empty or starts with a dot.',
  });
}

/** Throws ARGUMENT_INVALID unless both ends of the range are whole numbers, not negative. */
export function checkRange({ offset, length }: ByteRange): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) return;
  throw new FitdocError('ARGUMENT_INVALID', `Not a range of bytes: ${length} from ${offset}.`, {
    hint: 'Offset and length are whole numbers, not negative.',
  });
}
