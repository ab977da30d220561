import { isFitdocError, type FitdocError } from '@fitdoc/interface';
import type { Damage, Problem } from '../model.js';

/** An error as the daemon shows it. */
export function problemOf(error: unknown): Problem {
  const at = new Date().toISOString();
  if (!isFitdocError(error)) {
    return { at, code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint } = error;
  return { at, code, message, ...(hint !== undefined && { hint }) };
}

/** The loss of an object as the daemon shows it; `key` where the error does not tell it. */
export function damageOf(error: FitdocError, key: unknown = error.details['key']): Damage {
  const missing = error.details['missingParentId'];
  return {
    ...problemOf(error),
    ...(typeof key === 'string' && { key }),
    ...(typeof missing === 'string' && { missing }),
  };
}
