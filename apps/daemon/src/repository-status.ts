import { isIntact } from '@fitdoc/repository';
import type { RepositoryStatus } from './model.js';
import { withoutSecrets } from './supervisor/without-secrets.js';
import { problemOf } from './supervisor/problem.js';
import type { Supervisor } from './supervisor/supervisor.js';

/** All repositories of the configuration; one that cannot be reached says so. */
export function repositoryStatuses(supervisor: Supervisor, signal: AbortSignal): Promise<RepositoryStatus[]> {
  const { repositories } = supervisor;
  return Promise.all(
    Object.entries(repositories.settings).map(async ([name, settings]): Promise<RepositoryStatus> => {
      const machines = supervisor.machines().filter(({ repository }) => repository === name);
      const known = {
        name,
        location: withoutSecrets(settings.location),
        machines: machines.map((machine) => machine.name),
      };
      try {
        const entries = await (await repositories.get(name)).list({ signal });
        return {
          ...known,
          reachable: true,
          checkpoints: entries.length,
          bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
          damaged: entries.filter((entry) => !isIntact(entry)).length,
        };
      } catch (error) {
        return { ...known, reachable: false, problem: problemOf(error) };
      }
    }),
  );
}
