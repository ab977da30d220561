export { DOMAIN_STATE } from './attach/door.js';
export type { DomainRecord } from './helper/commands.js';
export { hypervisor } from './hypervisor.js';
