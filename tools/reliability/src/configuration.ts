import type { Subject } from './subjects.js';

export interface Place {
  /** Where the daemon's socket and state are; not on the disk that runs full. */
  readonly folder: string;
  readonly repository: string;
  /** Checkpoints of each machine that are kept, by merging all the time; absent: all. */
  readonly keepLast?: number | undefined;
}

/** The victim's configuration: every machine as often as it goes, every commit in the log. */
export function configurationOf(
  { folder, repository, keepLast }: Place,
  subjects: readonly Subject[],
): string {
  const text = (value: string): string => JSON.stringify(value);
  const machines = subjects.flatMap(({ name, location }) => [
    `[machines.${name}]`,
    `location = ${text(location)}`,
    'repository = "disk"',
    `machine-id = ${text(name)}`,
    ...(keepLast === undefined
      ? ['every = "100ms"']
      : ['every = "50ms"', `retention = { keep-last = ${keepLast} }`, 'prune-every = "1s"']),
  ]);
  return [
    '[daemon]',
    `socket = ${text(`${folder}/daemon.sock`)}`,
    `state = ${text(`${folder}/state`)}`,
    'workers = 1',
    'log-level = "debug"',
    '[repositories.disk]',
    `location = ${text(repository)}`,
    'create = true',
    ...machines,
    '',
  ].join('\n');
}
