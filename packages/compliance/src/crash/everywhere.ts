import { CrashFileSystem, SimulatedCrash } from './crash-file-system.js';
import type { Survival } from './nodes.js';

/** Something that is done to a file system, and what must hold when the host crashes in the middle of it. */
export interface CrashScenario<Ledger> {
  /** Makes the state to begin with; everything it leaves is safe from the crash. */
  prepare?(files: CrashFileSystem): Promise<void>;
  /** What `act` notes down of what it was promised. A new one for each run. */
  ledger(): Ledger;
  /** What is done. It is repeated from the prepared state, with a crash one call later each time. */
  act(files: CrashFileSystem, ledger: Ledger): Promise<void>;
  /** Throws when the file system that the crash left breaks a promise of the ledger. */
  check(files: CrashFileSystem, ledger: Ledger): Promise<void>;
  /** Milliseconds since 1970, for the times of files. Default Date.now. */
  readonly now?: () => number;
  /** How unsynced changes fare. Default: nothing, everything, and four mixtures. */
  readonly survivals?: readonly Survival[];
}

const SURVIVALS: readonly Survival[] = ['nothing', 'everything', 1, 2, 3, 4];

/**
 * Runs a scenario with a crash after every changing call that it makes, and with several outcomes for each.
 * Rejects with what `check` threw, its message naming the call and the outcome. Gives the number of calls and
 * of crashes tried.
 */
export async function crashEverywhere<Ledger>(
  scenario: CrashScenario<Ledger>,
): Promise<{ readonly calls: number; readonly crashes: number }> {
  const prepared = new CrashFileSystem(undefined, scenario.now);
  await scenario.prepare?.(prepared);
  let crashes = 0;
  for (let call = 1; ; call++) {
    const files = prepared.afterCrash('everything');
    files.arm({ crashAfter: call });
    const ledger = scenario.ledger();
    await scenario.act(files, ledger).catch((error: unknown) => {
      if (!files.crashed) throw error;
    });
    for (const survival of scenario.survivals ?? SURVIVALS) {
      await checkOne(scenario, files.afterCrash(survival), ledger, `call ${call}, ${survival} survives`);
      crashes++;
    }
    if (!files.crashed) return { calls: call - 1, crashes };
  }
}

async function checkOne<Ledger>(
  scenario: CrashScenario<Ledger>,
  files: CrashFileSystem,
  ledger: Ledger,
  where: string,
): Promise<void> {
  try {
    await scenario.check(files, ledger);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`after a crash at ${where}: ${message}`, { cause: error });
  }
}

export interface FailureScenario<Ledger> extends Omit<CrashScenario<Ledger>, 'survivals' | 'act'> {
  /** Like `act` of a crash scenario, and told whether the call failed by its rejection. */
  act(files: CrashFileSystem, ledger: Ledger): Promise<void>;
  /** Codes to fail with. Default EIO and ENOSPC. */
  readonly codes?: readonly string[];
}

/** Runs a scenario with a failure, and no crash, at every changing call. Gives the number of failures tried. */
export async function failEverywhere<Ledger>(
  scenario: FailureScenario<Ledger>,
): Promise<{ readonly failures: number }> {
  const prepared = new CrashFileSystem(undefined, scenario.now);
  await scenario.prepare?.(prepared);
  let failures = 0;
  for (const code of scenario.codes ?? ['EIO', 'ENOSPC']) {
    for (let call = 1; ; call++) {
      const files = prepared.afterCrash('everything');
      files.arm({ failAt: call, failWith: code });
      const ledger = scenario.ledger();
      await scenario.act(files, ledger).catch((error: unknown) => {
        if (error instanceof SimulatedCrash) throw error;
      });
      const reached = files.calls >= call;
      files.arm({});
      await checkOne(scenario, files, ledger, `call ${call}, which failed with ${code} and without a crash`);
      if (!reached) break;
      failures++;
    }
  }
  return { failures };
}
