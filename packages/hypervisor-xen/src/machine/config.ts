import { FitdocError } from '@fitdoc/interface';

/** What `AttachOptions.config` may hold for a Xen domain. */
export interface XenConfig {
  /** The way of capture; by default the best that host and guest allow. */
  readonly path?: 'direct' | 'remus' | 'save';
  /** How long a pause may last without progress before the guest is resumed, s. Default 10. */
  readonly pauseLimitSeconds: number;
  /** Most pages held between captures of a stream. Default 65,536. */
  readonly holdPages?: number;
  /** Resume a domain that is suspended at the attach: whoever suspended it is gone. Default false. */
  readonly resume: boolean;
}

/** Errors: ARGUMENT_INVALID. */
export function readConfig(config: Readonly<Record<string, unknown>> = {}): XenConfig {
  const { path, pauseLimitSeconds = 10, holdPages, resume = false } = config;
  if (path !== undefined && path !== 'direct' && path !== 'remus' && path !== 'save') {
    throw invalid('path', 'one of direct, remus, save');
  }
  if (typeof pauseLimitSeconds !== 'number' || !(pauseLimitSeconds >= 1)) {
    throw invalid('pauseLimitSeconds', 'a number of seconds, at least 1');
  }
  if (holdPages !== undefined && (typeof holdPages !== 'number' || !(holdPages >= 0))) {
    throw invalid('holdPages', 'a number of pages');
  }
  if (typeof resume !== 'boolean') throw invalid('resume', 'true or false');
  return {
    resume,
    pauseLimitSeconds: Math.round(pauseLimitSeconds),
    ...(path !== undefined && { path }),
    ...(typeof holdPages === 'number' && { holdPages }),
  };
}

function invalid(name: string, wanted: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', `config.${name} must be ${wanted}.`, {
    hint: 'See the options in the README of @fitdoc/hypervisor-xen.',
  });
}
