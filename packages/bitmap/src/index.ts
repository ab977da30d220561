export { DirtyBitmap } from './dirty-bitmap.js';
export { scanPages, scanRuns, type ScanResult } from './scan.js';
