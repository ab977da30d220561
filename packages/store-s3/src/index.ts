export type { S3Config, S3Credentials } from './config.js';
export { storeFactory } from './factory.js';
export { parseS3Location, type S3Location } from './location.js';
export { S3Store } from './s3-store.js';
