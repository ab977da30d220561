import { describe, expect, it } from 'vitest';
import { bindState, type StateFunctionName } from '../src/direct/xen/domain-state.js';
import { findLibraries } from '../src/direct/xen/libraries.js';

const DOMID = 7;

/** A struct of little-endian numbers: offset to value, 32 bits each, or 64 where it is a bigint. */
function struct(fields: Readonly<Record<number, number | bigint>>): Buffer {
  const bytes = Buffer.alloc(256);
  for (const [offset, value] of Object.entries(fields)) {
    if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, Number(offset));
    else bytes.writeUInt32LE(value, Number(offset));
  }
  return bytes;
}

const DYING = 1;
const SHUTDOWN = 4;
const PAUSED = 8;
interface State {
  readonly bits: number;
  readonly reason?: number;
}

/** The two structs as Xen's headers declare them, of a domain with 5 pages whose two vCPUs have run 6 ms together. */
const VERSIONS = {
  xc_domain_getinfo({ bits, reason = 0 }: State) {
    // libxc moves the shutdown of a crash to a bit of its own.
    const crash = (bits & SHUTDOWN) !== 0 && reason === 3;
    const flags = crash ? (bits & ~SHUTDOWN) | 2 : bits;
    return {
      found: 1,
      bytes: struct({ 0: DOMID, 8: flags, 12: reason, 16: 5n, 56: 6_000_000n, 72: 2 }),
    };
  },
  xc_domain_getinfo_single({ bits, reason = 0 }: State) {
    // Bit 1 says that it is no PV guest; bit 8 that its paging is assisted by hardware.
    const flags = bits | 2 | 256 | (reason << 16);
    return { found: 0, bytes: struct({ 0: DOMID, 4: flags, 8: 5n, 16: 9n, 56: 6_000_000n, 64: 2 }) };
  },
} satisfies Record<StateFunctionName, (state: State) => { found: number; bytes: Buffer }>;

describe.each(Object.keys(VERSIONS) as StateFunctionName[])('what %s tells', (name) => {
  function ask(found: number, bytes: Buffer) {
    const flags = bindState(name, (prototype) => {
      expect(prototype).toContain(`${name}(`);
      return (...values) => {
        (values.at(-1) as Buffer).set(bytes);
        return found;
      };
    });
    return flags({}, DOMID);
  }
  const told = (state: State) => {
    const { found, bytes } = VERSIONS[name](state);
    return ask(found, bytes);
  };

  it.each([
    ['running', { bits: 32 }, {}],
    ['paused', { bits: PAUSED }, { paused: true }],
    ['suspended', { bits: SHUTDOWN, reason: 2 }, { suspended: true }],
    ['powered off', { bits: SHUTDOWN, reason: 0 }, { shutdown: true, poweredOff: true, ended: true }],
    ['rebooting', { bits: SHUTDOWN, reason: 1 }, { shutdown: true, ended: true }],
    ['crashed', { bits: SHUTDOWN, reason: 3 }, { crashed: true, ended: true }],
    ['dying', { bits: DYING }, { ended: true }],
  ])('%s', (_how, state, flags) => {
    expect(told(state)).toEqual({
      ...{ present: true, suspended: false, paused: false, crashed: false },
      ...{ shutdown: false, poweredOff: false, ended: false, pages: 5, ranMs: 3 },
      ...flags,
    });
  });

  it('absent', () => {
    expect(ask(-1, Buffer.alloc(256))).toMatchObject({ present: false, ended: true, pages: 0 });
  });
});

it('does not take the next domain for one that is gone', () => {
  const another = struct({ 0: DOMID + 1, 8: 32, 16: 5n });
  const flags = bindState('xc_domain_getinfo', () => (_xch, _first, _count, info) => {
    (info as Buffer).set(another);
    return 1;
  });
  expect(flags({}, DOMID)).toMatchObject({ present: false, ended: true });
});

describe('libraries', () => {
  const linux = process.platform === 'linux' && process.arch === 'x64';
  it.runIf(linux).each([
    [16, 'xc_domain_getinfo'],
    [17, 'xc_domain_getinfo'],
    [18, 'xc_domain_getinfo_single'],
    [19, 'xc_domain_getinfo_single'],
    [20, 'xc_domain_getinfo_single'],
  ])('of Xen 4.%i are those of that version', (minor, state) => {
    expect(findLibraries(4, minor, () => true)).toMatchObject({
      control: expect.stringContaining(`libxenctrl.so.4.${minor}`) as string,
      guest: expect.stringContaining(`libxenguest.so.4.${minor}`) as string,
      state,
    });
  });

  it.runIf(linux).each([
    [4, 15],
    [4, 21],
    [5, 17],
  ])('of Xen %i.%i are not guessed', (major, minor) => {
    expect(findLibraries(major, minor, () => true)).toContain(`not of ${major}.${minor}`);
  });

  it.runIf(linux)('that are not there are named', () => {
    const found = findLibraries(4, 20, (path) => !path.includes('libxenguest'));
    expect(found).toBe('libxenguest.so.4.20 not found');
  });
});
