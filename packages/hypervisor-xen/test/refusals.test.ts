import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { DomainControl } from '../src/direct/xen/control.js';
import { refusesSuspend } from '../src/direct/pause/suspend.js';
import { LocalShell } from '../src/host/shell.js';
import { hypervisor } from '../src/index.js';
import { attachDomain, type DirectPath } from '../src/machine/attach.js';
import { FakeXl } from './fake-xl.js';
import { config } from './streams.js';

const KIB = 4096 * 4;
let xl: FakeXl | undefined;
afterEach(() => xl?.close());

/** A host whose one guest has this in its configuration, too. */
function host(extra: object = {}): FakeXl {
  xl = new FakeXl('pvh', [], KIB);
  const settings = { ...(JSON.parse(config('pvh', KIB)) as object), ...extra };
  xl.write('list.json', JSON.stringify([{ domid: 1, config: settings }]));
  const dom0 = { c_info: { type: 'pv', name: 'Domain-0' }, b_info: { max_memkb: 1 } };
  xl.write('host.json', JSON.stringify([{ domid: 0, config: dom0 }]));
  return xl;
}

describe('a domain that cannot be captured is refused before anything is touched', () => {
  afterEach(() => expect(existsSync(join(xl!.folder, 'calls'))).toBe(false));

  it.each([
    ['other', 'MACHINE_NOT_FOUND', 'no guest named other'],
    ['17', 'MACHINE_NOT_FOUND', 'no guest named 17'],
    ['Domain-0', 'MACHINE_NOT_FOUND', 'no guest'],
    ['guest-dm', 'CAPABILITY_MISSING', 'no configuration of the domain guest-dm'],
    ['2', 'CAPABILITY_MISSING', 'no configuration of the domain 2'],
  ])('%s: %s', async (name, code, message) => {
    host();
    await expect(hypervisor.attach(name)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      hint: expect.any(String) as string,
    });
  });

  it('with a PCI device of the host, which is named', async () => {
    host({ pcidevs: [{ bus: 1, dev: 16, func: 1 }, { domain: 1 }] });
    const message = expect.stringContaining('(0000:01:10.1, 0001:00:00.0)') as string;
    await expect(hypervisor.attach('guest')).rejects.toMatchObject({ code: 'CAPABILITY_MISSING', message });
    const [found] = (await hypervisor.machines?.()) ?? [];
    expect(found).toMatchObject({ refused: { code: 'CAPABILITY_MISSING', message } });
  });

  it.each([
    ['is not there', 127, 'no xl on'],
    ['has no Xen under it', 1, 'does not answer'],
  ])('when xl %s', async (_how, code, message) => {
    const { folder } = host();
    writeFileSync(join(folder, 'bin/xl'), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
    await expect(hypervisor.attach('guest')).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringContaining(message) as string,
    });
  });

  it('that does not suspend itself', async () => {
    host();
    const direct = { refusesSuspend: async () => true } as unknown as DirectPath;
    const attach = attachDomain(new LocalShell(), 'guest', 'xen', {}, async () => direct);
    await expect(attach).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: 'The guest guest does not offer to suspend itself.',
    });
  });
});

it.each([
  ['offers a suspend', { suspend: '1', poweroff: '1' }, false],
  ['offers only to power off', { poweroff: '1' }, true],
  ['offers only to reboot', { reboot: '1', suspend: '0' }, true],
  ['tells of nothing, as an older one', {}, false],
])('a guest that %s', (_what, offers, refuses) => {
  const keys = new Map(Object.entries(offers).map(([name, value]) => [`control/feature-${name}`, value]));
  const control = { readStore: (path: string) => keys.get(path) } as unknown as DomainControl;
  expect(refusesSuspend(control)).toBe(refuses);
});
