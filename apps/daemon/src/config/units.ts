import { guestPort } from '@fitdoc/engine';
import { isFitdocError } from '@fitdoc/interface';
import { z } from 'zod';

const TIME: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
const SIZE: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `500ms`, `1s`, `5m`, `12h`, `7d`, `2w`, `1y` (365 days), as milliseconds. */
export const duration = z.string().transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)$/.exec(text);
  if (match) return Number(match[1]) * (TIME[match[2] ?? ''] ?? 1);
  context.addIssue({ code: 'custom', message: `"${text}" is no duration: write 500ms, 1s, 5m, 12h or 7d` });
  return z.NEVER;
});

/** `100M`, `16G` or a plain number, as bytes. */
export const size = z.union([z.string(), z.number().int().positive()]).transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(String(value));
  if (match) return Math.floor(Number(match[1]) * (SIZE[match[2] ?? ''] ?? 1));
  context.addIssue({ code: 'custom', message: `"${value}" is no size: write 512M or 16G` });
  return z.NEVER;
});

/** 22, or `192.168.1.7/24:22`: a TCP port of a guest, with the address that it has. */
export const port = z.union([z.string(), z.number()]).transform((value, context) => {
  try {
    return guestPort(String(value));
  } catch (error) {
    if (!isFitdocError(error)) throw error;
    context.addIssue({ code: 'custom', message: `${error.message} ${error.hint ?? ''}`.trim() });
    return z.NEVER;
  }
});
