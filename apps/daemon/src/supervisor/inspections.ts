import type { AdapterRegistry } from '@fitdoc/adapters';
import type { Engine, VerifyReport } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Logger } from 'pino';
import type { MachineSettings } from '../config/schema.js';
import { verifyFailed } from './failures.js';
import type { JobContext } from './jobs.js';
import type { MachineController } from './machine-controller.js';
import { bootChain, verifyChain, type Chain } from './operations.js';
import type { StateFile } from './state-file.js';

export interface InspectionsContext {
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  readonly logger: Logger;
  readonly state: StateFile;
  readonly chain: (name: string) => Promise<Chain>;
  readonly controller: (name: string) => MachineController | undefined;
}

/** Looks whether machines' checkpoints are good, and remembers what it found. */
export class Inspections {
  readonly #context: InspectionsContext;

  constructor(context: InspectionsContext) {
    this.#context = context;
  }

  /** Starts the newest checkpoint apart from everything. VERIFY_FAILED; undefined before there is one. */
  async boot(name: string, settings: MachineSettings, context: JobContext): Promise<object | undefined> {
    const { chain, controller, logger, state } = this.#context;
    const report = await bootChain(await chain(name), settings, this.#context, context);
    if (!report) return undefined;
    const { verdict, about, verifiedAtMs: atMs } = report;
    state.setBoot(name, { atMs, verdict, about });
    controller(name)?.take((record) => record.booted({ atMs, verdict, about }));
    if (verdict === 'runs') return report;
    logger.error({ machine: name, report }, 'a checkpoint that was started does not run');
    throw new FitdocError('VERIFY_FAILED', `The newest checkpoint of ${name} does not run: ${about}`, {
      hint: 'Try it by hand: fitdoc verify --boot; fitdoc info shows what was kept of it.',
      details: { checkpoint: report.checkpoint, verdict },
    });
  }

  /** Verifies the checkpoints, and a share of their data. VERIFY_FAILED. */
  async verify(name: string, share: number, context: JobContext): Promise<VerifyReport> {
    const { chain, controller, logger, state } = this.#context;
    const report = await verifyChain(await chain(name), share, context);
    const [first] = report.findings;
    if (first) {
      logger.error({ machine: name, findings: report.findings }, 'verification found damage');
      const failure = verifyFailed(name, report.findings);
      const keys = report.findings.filter(({ code }) => !code.startsWith('STORE_')).map(({ key }) => key);
      controller(name)?.distrust(keys, failure);
      throw failure;
    }
    const now = Date.now();
    state.setVerified(name, now);
    controller(name)?.take((record) => record.verified(now));
    return report;
  }
}
