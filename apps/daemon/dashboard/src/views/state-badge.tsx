import type { MachineStatus } from '../../../src/model.js';
import { healthOf } from '../words/health.js';

export function StateBadge({ machine, now }: { readonly machine: MachineStatus; readonly now: number }) {
  const { tone, label, meaning } = healthOf(machine, now);
  return (
    <span class={`badge tone-${tone}`} title={meaning} data-state={machine.state}>
      <span class={`dot tone-${tone} ${machine.state === 'capturing' ? 'beating' : ''}`} aria-hidden="true" />
      {label}
    </span>
  );
}
