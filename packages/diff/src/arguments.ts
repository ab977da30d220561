import { FitdocError, MAX_PAGES } from '@fitdoc/interface';

/** Throws ARGUMENT_INVALID. */
export function invalid(message: string, hint?: string): never {
  throw new FitdocError('ARGUMENT_INVALID', message, hint === undefined ? {} : { hint });
}

/** Fails unless `value` is a whole number from `least` to `most`. */
export function requireInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  invalid(`${name} must be a whole number from ${least} to ${most}, not ${value}.`);
}

/** Fails unless `count` pages from `gfn` lie within `pages`. */
export function requireRun(gfn: number, count: number, pages: number): void {
  const whole = Number.isInteger(gfn) && Number.isInteger(count) && gfn >= 0 && count >= 1;
  if (whole && gfn + count <= pages && pages <= MAX_PAGES) return;
  invalid(
    `Pages ${gfn} to ${gfn + count - 1} are not within the ${pages} pages of the image.`,
    'Create the image with as many pages as the machine has.',
  );
}
