import type { Configuration } from '../config/schema.js';

/** Whether a machine's attachment and its repository stay good from one configuration to the next. */
export function sameAttachment(name: string, before: Configuration, after: Configuration): boolean {
  return key(name, before) === key(name, after);
}

function key(name: string, { machines, repositories }: Configuration): string | undefined {
  const settings = machines[name];
  if (!settings) return undefined;
  const { location, repository, disks, compressor, level, config } = settings;
  const machineId = settings['machine-id'];
  const pauses = [settings['pause-budget'], settings['pause-budget-wait'], settings['pause-budget-over']];
  return JSON.stringify([
    location,
    repository,
    repositories[repository],
    disks,
    settings['leave-out-disks'],
    machineId,
    compressor,
    level,
    config,
    pauses,
    settings['pause-hook'],
    settings.quiesce,
  ]);
}
