import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Victim } from '../src/victim.js';

const folder = mkdtempSync(path.join(tmpdir(), 'fitdoc-victim-'));
afterAll(() => rmSync(folder, { recursive: true }));

function victimThat(script: string): Victim {
  const file = path.join(folder, `${Math.random()}.mjs`);
  writeFileSync(file, `const say = (text) => process.stderr.write(text);\n${script}`);
  return new Victim('none', [process.execPath, file]);
}

const checkpoint = (id: string): string =>
  JSON.stringify({ machine: 'm', checkpoint: { id, sequence: 1, kind: 'base' }, msg: 'checkpoint' });

it('holds as reported what was written whole before the kill, and no more', async () => {
  const lines = [JSON.stringify({ msg: 'protecting 1 machine(s)' }), checkpoint('aa'), 'no JSON'];
  const cut = checkpoint('bb').slice(0, -3);
  const victim = victimThat(
    `say(${JSON.stringify(`${lines.join('\n')}\n${cut}`)}); setInterval(() => {}, 9);`,
  );
  await victim.started(30_000);
  await victim.until(() => victim.reported.length > 0, 'a checkpoint', 30_000);
  await victim.kill();
  expect(victim.reported).toEqual([{ machine: 'm', id: 'aa', sequence: 1, kind: 'base' }]);
});

it('says what a victim said last when it ends by itself or keeps silent', async () => {
  const ended = victimThat(`say('{"msg":"no configuration"}\\n');`);
  await expect(ended.started(30_000)).rejects.toThrow(/ended by itself before the start: .*no configuration/);
  const silent = victimThat('setInterval(() => {}, 9);');
  await expect(silent.started(50)).rejects.toThrow(/the start did not come within 50 ms/);
  await silent.kill();
});
