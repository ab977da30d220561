import type { RestoreOptions, RestoreReport, RestoreSource } from '@fitdoc/interface';
import { FitdocError } from '@fitdoc/interface';
import { recordedFeatures } from '../machine/cpu-flags.js';
import { describe } from '../machine/describe.js';
import type { Door } from '../door.js';
import { checkTarget, readBlocks } from '../restore/check.js';
import type { RestoreConfig } from '../restore/options.js';
import { restoreCapabilities } from '../session/settings.js';
import { probeBlocks, turnOffPostcopy } from './probe.js';
import { recoverAndServe } from './recover.js';
import { runs } from './restore.js';
import { reportOf } from './serve.js';
import { checkServed, endServed } from './served-record.js';
import { guestState, whenCompleted } from './states.js';

/** Sends a guest that runs already what it has not got of its memory, after the process that did so has ended. */
export async function resumeIncoming(
  door: Door,
  location: string,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const signal = options.signal ?? new AbortController().signal;
  const { client, version } = await door.connect(location, { signal, outOfBand: true });
  try {
    const target = await describe(client, version, recordedFeatures(source.info.platform), signal);
    checkTarget(source.info, { ...target, blocks: await readBlocks(client, signal), types: undefined });
    const probed = await probeBlocks(client, source, signal);
    if ('reason' in probed) throw cannot(probed.reason);
    const { file, before } = await checkServed(client, source);
    const start = performance.now();
    const { blocks } = probed;
    const served = await recoverAndServe(client, { source, blocks, config, options, signal }).catch(
      (error: unknown) => {
        if (error instanceof FitdocError && /^MACHINE/.test(error.code)) throw error;
        throw runs(error, client, signal);
      },
    );
    await whenCompleted(client, signal);
    await (before ? restoreCapabilities(client, before.capabilities) : turnOffPostcopy(client));
    await endServed(file);
    const lazy = reportOf(served.server, undefined, performance.now() - start);
    return {
      state: await guestState(client, signal),
      pages: served.transmission.sentPages,
      notes: [],
      lazy,
    };
  } finally {
    client.close();
  }
}

function cannot(reason: string): FitdocError {
  return new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `This guest cannot be sent the rest of its memory: ${reason}.`,
    {
      hint: 'Only a guest that a restore let run before its memory was there can.',
    },
  );
}
