import { FitdocError } from '@fitdoc/interface';

/** The error for stored bytes that are not what an encoder writes. */
export function damaged(message: string, cause?: unknown): FitdocError {
  return new FitdocError('CODEC_DAMAGED', `The batch is damaged: ${message}.`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'Read it again; if it stays so, restore from another copy of this checkpoint or from an earlier one.',
  });
}

/** The error for a compression method that this process does not have. */
export function unknownCompressor(name: string, cause?: unknown): FitdocError {
  return new FitdocError('CODEC_UNKNOWN', `There is no compressor named "${name}".`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'Pass the compressor in the option `compressors`, or install a release of fitdoc that has it.',
    details: { compressor: name },
  });
}

/** The error for a batch or an option that breaks its contract. */
export function invalid(message: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message, {
    hint: 'This is a mistake in the calling program; the contract stands at PageBatch in @fitdoc/interface.',
  });
}
