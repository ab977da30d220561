export { DirtyBitmap } from './dirty-bitmap.js';
export { scanPages, scanRuns } from './scan.js';
export type { ScanResult } from './scan-storage.js';
