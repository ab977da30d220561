export { fillTable } from './emit';
export { scanRuns } from './runs';
export { scanPages } from './pages';
export { count, mergeAndNot, mergeOr } from './sets';
