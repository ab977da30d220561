export { collect, secretOptions, secretWords, type SecretOptions } from './options.js';
export { canPrompt, promptPassphrase } from './prompt.js';
export { labelOf, nobodyToOpen, Secrets } from './secrets.js';
