import type { Launched, PortAnswer } from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { Prober, type BootProbes } from '../src/launch/boot-probes.js';
import { guestPort } from '../src/launch/guest-port.js';

test('a port of a guest is a number, with its address and network where they are known', () => {
  expect(guestPort('22')).toEqual({ port: 22 });
  expect(guestPort('192.168.1.7:65535')).toEqual({ port: 65_535, address: '192.168.1.7' });
  expect(guestPort('10.200.3.4/8:22')).toEqual({ port: 22, address: '10.200.3.4', prefix: 8 });
  const wrong = [
    '',
    '0',
    '65536',
    'ssh',
    '-1',
    '22 ',
    ':22',
    '10.0.0.1',
    '10.0.0.256:22',
    '10.1:22',
    '::1:22',
  ];
  const outside = ['10.0.0.0:22', '10.0.0.255:22', '10.0.0.7/29:22', '10.0.0.1/30:22', '10.0.0.1/7:22'];
  for (const text of [...wrong, ...outside])
    expect(() => guestPort(text), text).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});

/** A machine whose port gives these answers, one a call. */
function machine(...answers: readonly PortAnswer[]) {
  const calls: (RegExp | undefined)[] = [];
  const callPort = async (expected?: RegExp): Promise<PortAnswer> => {
    calls.push(expected);
    return answers[calls.length - 1]!;
  };
  return { calls, launched: { callPort } as unknown as Launched };
}

async function tries(tcp: BootProbes['tcp'], answers: readonly PortAnswer[], times = answers.length) {
  const { calls, launched } = machine(...answers);
  const prober = new Prober(launched, { seconds: 1, withinSeconds: 1, ...(tcp && { tcp }) });
  const seen: string[] = [];
  for (let time = 0; time < times; time++) {
    const [result] = await prober.try('', undefined);
    if (result) seen.push(`${result.probe} ${result.right ? 'right' : 'wrong'}: ${result.about}`);
  }
  return { seen, calls };
}

const NONE = { taken: false, said: '' };

test('a port is right once it takes a connection, and is left alone then', async () => {
  const { seen, calls } = await tries({ port: 22 }, [NONE, { taken: true, said: '' }], 4);
  const right = 'tcp right: its port 22 takes connections';
  expect(seen).toEqual(['tcp wrong: its port 22 takes no connection', right, right, right]);
  expect(calls).toEqual([undefined, undefined]);
  expect(await tries(undefined, [NONE])).toEqual({ seen: [], calls: [] });
});

test('a port that once said something else is not told to be silent', async () => {
  const { seen } = await tries({ port: 22, banner: /^SSH-/m }, [{ taken: true, said: '220 mail\r\n' }, NONE]);
  expect(seen).toEqual(Array.from({ length: 2 }, () => 'tcp wrong: its port 22 says 220 mail, not /^SSH-/m'));
});

test('a port with a banner has to say it; what it says instead is told, without what moves a terminal', async () => {
  const banner = /^SSH-/m;
  const said = ['', '220\u001b[2J mail\r\n', 'hello\r\nSSH-2.0-x\r\n'].map((text) => ({
    taken: true,
    said: text,
  }));
  const { seen, calls } = await tries({ port: 22, banner }, [NONE, ...said]);
  expect(seen).toEqual([
    'tcp wrong: its port 22 takes no connection',
    'tcp wrong: its port 22 says nothing, not /^SSH-/m',
    'tcp wrong: its port 22 says 220 [2J mail, not /^SSH-/m',
    'tcp right: its port 22 takes connections and says hello SSH-2.0-x',
  ]);
  expect(calls).toEqual([banner, banner, banner, banner]);
});
