export { cephAdmin, startCeph, type CephUser, type RunningCeph } from './cluster.js';
export {
  s3Error,
  startFaultProxy,
  type FaultPlan,
  type FaultProxy,
  type HttpFault,
  type ProxiedAnswer,
  type ProxiedRequest,
} from './fault-proxy.js';
export { installCeph, missingForCeph } from './install.js';
