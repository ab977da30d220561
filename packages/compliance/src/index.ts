export type { Runner } from './runner.js';
export { expectCode } from './expect.js';
