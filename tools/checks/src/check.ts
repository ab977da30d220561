/** What a check found: nothing, or what to fix, a line each. */
export interface Finding {
  readonly problems: readonly string[];
  /** How much was looked at: "18 packages". A check that looked at nothing has failed. */
  readonly looked: string;
}

export interface Check {
  readonly name: string;
  run(root: string): Promise<Finding>;
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** One line. */
  readonly line: string;
  readonly problems: readonly string[];
}

/** Runs a check; one that throws has failed. */
export async function runCheck(check: Check, root: string): Promise<CheckResult> {
  const start = performance.now();
  const finding = await check.run(root).catch((error: unknown): Finding => {
    return { problems: [error instanceof Error ? error.message : String(error)], looked: 'did not finish' };
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const ok = finding.problems.length === 0;
  const verdict = ok ? 'ok' : `${finding.problems.length} to fix`;
  return {
    name: check.name,
    ok,
    line: `${ok ? 'ok  ' : 'FAIL'}  ${check.name.padEnd(10)} ${finding.looked}, ${verdict} (${seconds} s)`,
    problems: finding.problems,
  };
}
