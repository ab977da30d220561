import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fitdoc, folder, messages, start } from './cli.js';

const MACHINE = 'mock:twin?memory=4M&resident=1M&working=512K';

let place: Awaited<ReturnType<typeof folder>>;
beforeAll(async () => {
  place = await folder();
});
afterAll(() => place.remove());

it('two guests with one identity do not write one chain; the second may fork, and follow when the first is gone', async () => {
  const at = ['--store', path.join(place.path, 'store')];
  await fitdoc('init', ...at);
  const first = start('watch', MACHINE, ...at, '--every', '50ms', '--json');
  const lines = createInterface(first.stdout!);
  await once(lines, 'line');
  const refused = await fitdoc('save', MACHINE, '--json', ...at);
  expect(refused.code).toBe(11);
  expect(messages(refused).at(-1)).toMatchObject({
    code: 'MACHINE_CONFLICT',
    hint: expect.stringMatching(/--machine-id.*--fork/) as string,
    details: { machine: 'twin', location: MACHINE, writer: { program: 'fitdoc watch', pid: first.pid } },
  });
  expect(messages(await fitdoc('info', 'latest', '--json', ...at)).at(-1)).toMatchObject({
    writers: [{ program: 'fitdoc watch', pid: first.pid, location: MACHINE }],
  });
  const fork = messages(await fitdoc('save', MACHINE, '--fork', '--json', ...at)).at(-1);
  expect(fork).toMatchObject({
    kind: 'base',
    machine: expect.stringMatching(/^twin\.fork-[0-9a-f]{8}$/) as string,
  });
  // The fork goes on with its own chain, whoever else is there.
  expect(messages(await fitdoc('save', MACHINE, '--fork', '--json', ...at)).at(-1)).toMatchObject({
    kind: 'increment',
    machine: fork?.['machine'],
  });
  first.kill('SIGKILL');
  await once(first, 'exit');
  // The guest that was killed is no longer one: whoever comes next takes over at once.
  expect(messages(await fitdoc('save', MACHINE, '--json', ...at)).at(-1)).toMatchObject({
    kind: 'increment',
    machine: 'twin',
  });
});
