export * from './disk-beats.js';
export * from './domains.js';
export * from './host.js';
export { installLibvirt, missingForLibvirt } from './install.js';
