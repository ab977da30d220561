import path from 'node:path';
import { parseLocation, type AdapterRegistry } from '@fitdoc/adapters';
import type { Engine } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Logger } from 'pino';
import type { Configuration } from '../../config/schema.js';
import type { StandbyStatus } from '../../model.js';
import type { Repositories } from '../repositories.js';
import { StandbyController } from './standby-controller.js';

export interface StandbysContext {
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  readonly repositories: Repositories;
  readonly logger: Logger;
  readonly onChange: (status: StandbyStatus) => void;
}

/** The standbys of the configuration. */
export class Standbys {
  readonly #context: StandbysContext;
  readonly #controllers = new Map<
    string,
    { readonly key: string | undefined; readonly controller: StandbyController }
  >();

  constructor(context: StandbysContext) {
    this.#context = context;
  }

  /** Ends those that a configuration does not have, or has with other settings, or another repository. */
  async end(configuration: Configuration): Promise<void> {
    const ending = [...this.#controllers].filter(([name, { key }]) => key !== keyOf(name, configuration));
    await Promise.all(ending.map(([, { controller }]) => controller.stop()));
    for (const [name] of ending) this.#controllers.delete(name);
  }

  /** Begins those that a configuration has and that were not begun. */
  begin(configuration: Configuration): void {
    for (const name of Object.keys(configuration.standbys)) {
      if (this.#controllers.has(name)) continue;
      const controller = this.#begin(name, configuration);
      this.#controllers.set(name, { key: keyOf(name, configuration), controller });
    }
  }

  list(): StandbyStatus[] {
    return [...this.#controllers.values()].map(({ controller }) => controller.status());
  }

  /** Errors: MACHINE_NOT_FOUND. */
  get(name: string): StandbyController {
    const found = this.#controllers.get(name);
    if (found) return found.controller;
    throw new FitdocError('MACHINE_NOT_FOUND', `The configuration has no standby ${name}.`, {
      hint: `It has: ${[...this.#controllers.keys()].join(', ') || 'none'}.`,
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#controllers.values()].map(({ controller }) => controller.stop()));
  }

  #begin(name: string, configuration: Configuration): StandbyController {
    const { engine, registry, repositories, logger, onChange } = this.#context;
    const settings = configuration.standbys[name]!;
    return new StandbyController(name, settings, {
      ...{ engine, registry, onChange },
      repository: () => repositories.get(settings.repository),
      location: absolute(configuration.repositories[settings.repository]!.location),
      onProblem: (problem) => logger.warn({ standby: name, problem }, problem.message),
    });
  }
}

function keyOf(name: string, { standbys, repositories }: Configuration): string | undefined {
  const settings = standbys[name];
  return settings && JSON.stringify([settings, repositories[settings.repository]]);
}

function absolute(location: string): string {
  const { scheme, rest } = parseLocation(location);
  return scheme === 'fs' ? path.resolve(rest) : location;
}
