export {
  createGuest,
  destroyGuest,
  ensureGuest,
  guestWords,
  waitForSweeps,
  type GuestOptions,
  type GuestWord,
} from './guests.js';
export { XenHost, type JobResult, type XenHostOptions } from './host.js';
export { installXen, missingForRelease } from './install.js';
export { missingForXen } from './packages.js';
