// Does what can be done right and wrong with a store, and says on the way whatever there is to say.
import { inspect } from 'node:util';
import { storeFactory } from '@fitdoc/store-s3';

const [location, credentialsFile] = process.argv.slice(2);
const say = (error) =>
  console.log(inspect(error, { depth: 20, showHidden: true, getters: true }), JSON.stringify(error));
const config = { ...(credentialsFile && { credentialsFile }), attempts: 2, timeoutMs: 2_000 };
const store = await storeFactory.open(location, { config }).catch((error) => void say(error));
if (store) {
  say(store);
  await store.put('a', new Uint8Array(3)).catch(say);
  await store.put('a', new Uint8Array(3)).catch(say);
  await store.get('missing').catch(say);
  await store.put('l', new Uint8Array(9 * 2 ** 20)).catch(say);
}
console.log('waiting');
process.stdin
  .once('data', () => void (store ? store.close() : undefined))
  .once('data', () => process.stdin.destroy());
