import { expect, test } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

const here = new URL('..', import.meta.url);

test('the example in the README runs, and says what to do where there is no libvirt', async () => {
  const env = { DOMAIN: 'qemu+unix:///system?socket=/nowhere/libvirt-sock#web' };
  const { stdout } = await runReadmeExample(here, { env });
  expect(stdout).toMatch(/^(MACHINE_NOT_FOUND Start libvirtd|CAPABILITY_MISSING Install)/);
});
