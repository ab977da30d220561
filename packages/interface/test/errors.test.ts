import { expect, it } from 'vitest';
import { abortError, FitdocError, isFitdocError, throwIfAborted } from '../src/index.js';

it('an error of another copy of the package is recognised', () => {
  const foreign = Object.defineProperty(new Error('x'), Symbol.for('fitdoc.error'), { value: true });
  expect(isFitdocError(Object.assign(foreign, { code: 'STORE_FULL' }), 'STORE_FULL')).toBe(true);
  expect(isFitdocError(new Error('x'))).toBe(false);
  expect(isFitdocError(undefined)).toBe(false);
});

it('an abort keeps its reason as the cause, and a typed reason as it is', () => {
  const plain = AbortSignal.abort(new Error('enough'));
  expect(abortError(plain)).toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
  const typed = AbortSignal.abort(new FitdocError('MACHINE_GONE', 'it ended'));
  expect(() => throwIfAborted(typed)).toThrow('it ended');
  expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  expect(() => throwIfAborted(undefined)).not.toThrow();
});
