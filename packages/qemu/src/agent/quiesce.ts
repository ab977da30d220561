import { FitdocError, isFitdocError, type Quiesce, type QuiesceOutcome } from '@fitdoc/interface';
import { Freeze, type WatchFreeze } from './frozen.js';

/** What became of the file systems of a guest in a capture. */
export interface Quiesced {
  readonly quiesced?: QuiesceOutcome;
  /** They were frozen when it was captured, or may have been: so they are in what is restored of it. */
  readonly frozen?: true;
}

/** Captures a guest with its file systems frozen, through the socket of its agent's channel. */
export class Quiescing {
  /** A freeze of ours that could not be ended: file systems may be frozen by it still. */
  private owed: Freeze | undefined;

  constructor(
    private readonly agent: string | undefined,
    private readonly watch: WatchFreeze,
  ) {}

  /**
   * Captures with the guest's file systems frozen, and thaws them whatever happens. An agent answers while its guest
   * runs: when `capture` settles, failed or not, it should. A failure is that of the capture, or an outcome, as
   * `quiesce` says. Errors: those of the capture and of the agent, CAPTURE_FAILED.
   */
  async around<Result extends object>(
    quiesce: Quiesce | undefined,
    signal: AbortSignal,
    capture: () => Promise<Result>,
  ): Promise<Result & Quiesced> {
    if (quiesce === undefined) return capture();
    const freeze = new Freeze(this.agent ?? '', this.watch);
    try {
      if (this.agent === undefined) throw noChannel();
      await this.payOwed();
      await freeze.begin(quiesce, signal);
    } catch (error) {
      const { frozenMs, failure: left } = await this.end(freeze);
      if (signal.aborted || !isFitdocError(error)) throw error;
      if (quiesce.onFailure === 'fail') throw beforeCapture(error, left);
      // By us, or by somebody else.
      const frozen = this.owed !== undefined || error.code === 'MACHINE_BUSY';
      const failure = andLeft(error.message, left);
      return { ...(await capture()), quiesced: { frozenMs, failure }, ...(frozen && { frozen }) };
    }
    let outcome: QuiesceOutcome | undefined;
    const captured = await capture().finally(async () => (outcome = await this.end(freeze)));
    if (outcome?.failure !== undefined && quiesce.onFailure === 'fail') throw unquiet(outcome.failure);
    return { ...captured, quiesced: outcome!, frozen: true };
  }

  private async end(freeze: Freeze): Promise<QuiesceOutcome> {
    const outcome = await freeze.end();
    if (freeze.isOwed) this.owed = freeze;
    return outcome;
  }

  /** What an earlier capture left frozen is ours to thaw, and not somebody else's. */
  private async payOwed(): Promise<void> {
    if (this.owed === undefined) return;
    const { failure } = await this.owed.end();
    if (this.owed.isOwed) throw stillFrozen(failure!);
    this.owed = undefined;
  }
}

/** Whether an error is that of an agent, before anything was asked of QEMU. */
export function isBeforeCapture(error: unknown): boolean {
  return isFitdocError(error) && error.details['quiesce'] === 'refused';
}

function andLeft(message: string, left: string | undefined): string {
  return left === undefined ? message : `${message} Besides, ${left}`;
}

function beforeCapture(error: FitdocError, left: string | undefined): FitdocError {
  const { code, message, hint, retryable, details, cause } = error;
  return new FitdocError(code, andLeft(message, left), {
    ...(hint !== undefined && { hint }),
    ...{ cause, retryable, details: { ...details, quiesce: 'refused' } },
  });
}

function stillFrozen(failure: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `Of an earlier capture, ${failure}`, {
    hint: 'It is tried again, also by the guard process. To do it yourself: guest-fsfreeze-thaw.',
    retryable: true,
  });
}

function noChannel(): FitdocError {
  return new FitdocError(
    'CAPABILITY_MISSING',
    'The guest has no channel to a guest agent that can be reached.',
    {
      hint: 'Start QEMU with virtio-serial, a virtserialport named org.qemu.guest_agent.0, and a unix socket as its chardev (server=on).',
    },
  );
}

function unquiet(why: string): FitdocError {
  return new FitdocError(
    'CAPTURE_FAILED',
    `The guest's file systems were not frozen as they should be: ${why}`,
    {
      hint: 'Give it more time, or look into the guest. The next capture is a full one.',
      retryable: true,
      details: { quiesce: true },
    },
  );
}
