import { isFitdocError } from '@fitdoc/interface';
import type { Problem } from '../model.js';

/** An error as the daemon shows it. */
export function problemOf(error: unknown): Problem {
  const at = new Date().toISOString();
  if (!isFitdocError(error)) {
    return { at, code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint } = error;
  return { at, code, message, ...(hint !== undefined && { hint }) };
}
