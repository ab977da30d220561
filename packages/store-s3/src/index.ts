export type { S3Config } from './config.js';
export type { S3Credentials } from './credentials.js';
export { storeFactory } from './factory.js';
export { parseS3Location, type S3Location } from './location.js';
export type { S3Store } from './s3-store.js';
