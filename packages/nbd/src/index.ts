export { NbdClient, type NbdOptions, type StatusExtent } from './client/client.js';
export { ALLOCATION, BASE_ALLOCATION } from './protocol.js';
export type { NbdExport, NbdPart, NbdStatus } from './server/export.js';
export type { NbdAddress, NbdServerOptions } from './server/server.js';
export type { NbdEvent } from './server/events.js';
export { NbdServer } from './server/server.js';
