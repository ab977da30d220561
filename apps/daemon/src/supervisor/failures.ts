import type { VerifyReport } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';

/** After these no capture of the same attachment can succeed. */
export function needsNewAttachment({ code }: FitdocError): boolean {
  return /^(MACHINE_(GONE|PAUSED|NOT_FOUND|CONFLICT)|PROTOCOL_ERROR|CHECKPOINT_NOT_FOUND|REPOSITORY_DAMAGED|STORE_CLOSED)$/.test(
    code,
  );
}

export function overBudget(pauseMs: number, budgetMs: number): FitdocError {
  const message = `The pause of ${Math.round(pauseMs)} ms exceeds the budget of ${budgetMs} ms.`;
  return new FitdocError('CAPTURE_FAILED', message, {
    hint: 'Shorten the interval: less is dirty then. The checkpoint itself is good.',
  });
}

/** What whoever waits for a machine whose protection ends is told. */
export function ended(name: string): FitdocError {
  return new FitdocError('ABORTED', `The protection of ${name} was ended.`, {
    hint: 'It begins again when the configuration names the machine and the daemon runs.',
  });
}

/** What a verification that found damage fails with. */
export function verifyFailed(name: string, findings: VerifyReport['findings']): FitdocError {
  const [first] = findings;
  return new FitdocError(
    'VERIFY_FAILED',
    `${findings.length} finding(s) in the checkpoints of ${name}: ${first?.key}: ${first?.message}`,
    {
      hint: 'Look at them with: fitdoc verify --store LOCATION; bring damaged objects back with: fitdoc copy --heal.',
      details: { key: first?.key },
    },
  );
}
