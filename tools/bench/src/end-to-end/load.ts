import os from 'node:os';
import type { Row } from '../section.js';

/** How busy the machine is with everything: times are to be read with it in mind. */
export function loadRow(when: string): Row {
  const [minute = NaN] = os.loadavg();
  return {
    name: 'load of the machine',
    variant: `${when}, ${os.availableParallelism()} cores`,
    value: minute,
    unit: 'runnable',
  };
}
