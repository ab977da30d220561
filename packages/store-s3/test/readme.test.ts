import { describe, expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';
import { because, newPlace, server, withoutServer } from './support/server.js';

const directory = new URL('..', import.meta.url);

it('the example in the README runs without a server', async () => {
  const { stdout } = await runReadmeExample(directory, { env: { FITDOC_EXAMPLE_S3: '' } });
  expect(stdout).toBe('vm/\n');
});

describe.skipIf(withoutServer !== undefined)(`with a server${because}`, () => {
  it('the example in the README stores and lists', async () => {
    const env = {
      FITDOC_EXAMPLE_S3: newPlace(),
      AWS_ACCESS_KEY_ID: server().accessKeyId,
      AWS_SECRET_ACCESS_KEY: server().secretAccessKey,
    };
    const { stdout } = await runReadmeExample(directory, { env });
    expect(stdout).toBe('vm/\nSTORE_EXISTS\nnotes/first.txt 5\n');
  });
});
