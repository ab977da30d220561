import type { WorkloadName } from '../settings.js';
import { compiler } from './compiler.js';
import { database } from './database.js';
import { idle } from './idle.js';
import { keyValue } from './key-value.js';
import { noise } from './random.js';
import { stencil } from './stencil.js';
import type { Step } from './workload.js';

/** The seeded workloads by name. */
export const WORKLOADS: Readonly<Record<WorkloadName, Step>> = {
  idle,
  kv: keyValue,
  database,
  compiler,
  stencil,
  random: noise,
};
