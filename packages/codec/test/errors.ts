import { isFitdocError } from '@fitdoc/interface';

/** The code of the FitdocError that `call` throws; undefined when it returns. Anything else it throws goes on. */
export function errorCode(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (isFitdocError(error)) return error.code;
    throw error;
  }
}
