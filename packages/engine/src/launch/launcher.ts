import { FitdocError, type Hypervisor, type Launcher } from '@fitdoc/interface';

/** What starts machines of a hypervisor. CAPABILITY_MISSING. */
export function launcherOf(hypervisor: Hypervisor): Launcher {
  if (hypervisor.launcher) return hypervisor.launcher;
  throw new FitdocError(
    'CAPABILITY_MISSING',
    `Machines of ${hypervisor.scheme}: are not started from here.`,
    {
      hint: 'Start it yourself, as the documentation of the adapter says, and restore to it: --to.',
    },
  );
}
