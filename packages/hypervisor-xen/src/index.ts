export { parseGuestConfig, type GuestConfig } from './memory/guest-config.js';
export { PfnSpace, regionsFor, type MemoryShape } from './memory/pfn-space.js';
export { writeXenStream, xenStream, type XenStreamOptions, type XenStreamSink } from './stream/export.js';
export type { ImageHeader, XlHeader } from './stream/headers.js';
export { readXenStream, type ReadXenStreamOptions, type XenStreamContent } from './stream/import.js';
export { XenStreamParser, type XenStreamHandler } from './stream/parser.js';
export { hypervisor, hypervisorSsh } from './hypervisor.js';
