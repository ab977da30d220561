import { FitdocError, isFitdocError } from '@fitdoc/interface';

export function notRunning(name: string, state: string): FitdocError {
  const what = state === 'paused' ? 'was paused by its operator' : `is ${state}`;
  return new FitdocError('MACHINE_NOT_RUNNING', `The mock machine ${name} ${what}.`, {
    hint: "It is left so; checkpoints go on by themselves when its guest's goOn() was called.",
    retryable: true,
    details: { state },
  });
}

export function poweredOff(name: string): FitdocError {
  return new FitdocError('MACHINE_GONE', `The mock machine ${name} has powered off.`, {
    hint: 'Forget it and attach anew for a fresh boot.',
    details: { ended: true },
  });
}

export function failure(message: string): FitdocError {
  return new FitdocError('CAPTURE_FAILED', message, {
    hint: 'This fault was asked for; take the next checkpoint.',
    retryable: true,
  });
}

export function asCaptureError(error: unknown, name: string): FitdocError {
  if (isFitdocError(error)) return error;
  return new FitdocError('CAPTURE_FAILED', `The capture of ${name} failed.`, {
    cause: error,
    hint: 'The machine runs on and no dirty page is lost: take the next checkpoint.',
    retryable: true,
  });
}
