export { startCeph, type CephUser, type RunningCeph } from './cluster.js';
export { installCeph, missingForCeph } from './install.js';
