import assert from 'node:assert/strict';
import { isFitdocError, type ErrorCode, type FitdocError } from '@fitdoc/interface';

/** Awaits `promise` and asserts that it rejects with a FitdocError of one of the codes; gives the error. */
export async function expectCode(
  promise: Promise<unknown> | (() => Promise<unknown>),
  ...codes: ErrorCode[]
): Promise<FitdocError> {
  let value: unknown;
  try {
    value = await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    if (!isFitdocError(error)) assert.fail(`expected a FitdocError ${codes.join('|')}, got ${String(error)}`);
    assert.ok(codes.includes(error.code), `expected ${codes.join('|')}, got ${error.code}: ${error.message}`);
    return error;
  }
  assert.fail(`expected ${codes.join('|')}, but it resolved with ${typeof value}`);
}
