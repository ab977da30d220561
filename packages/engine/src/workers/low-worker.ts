import { getPriority, setPriority } from 'node:os';

/** Below the process's own: a tenth of a core beside a busy thread of it. At the very lowest merging would fall behind. */
const LOWER_BY = 10;
const LOWEST = 19;

// Linux gives each thread a priority of its own; elsewhere this would be that of the whole process.
if (process.platform === 'linux') setPriority(Math.min(LOWEST, getPriority() + LOWER_BY));

/** What a thread does whose work may wait. */
export { default } from './worker.js';
