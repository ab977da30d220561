import { expect, test } from 'vitest';
import { lifeOf } from '../src/guard/life.js';
import { rescue } from '../src/guard/rescue.js';
import type { Connected, QmpClient } from '../src/qmp/client.js';

/** A QEMU whose first CPU runs in that thread, and which takes no command. */
class Qemu {
  readonly asked: string[] = [];
  closed = 0;

  constructor(private readonly thread: number) {}

  readonly connect = async (): Promise<Connected> => ({ client: this.client }) as unknown as Connected;

  get client(): QmpClient {
    const execute = async (command: string): Promise<unknown> => {
      this.asked.push(command);
      if (command === 'query-cpus-fast') return [{ 'thread-id': this.thread }];
      throw new Error(command);
    };
    return { execute, close: () => this.closed++ } as unknown as QmpClient;
  }
}

const settings = { capabilities: new Map(), parameters: new Map() } as never;
const kept = { record: { version: 1, owner: 'me', settings }, file: undefined } as const;

test('a guard does not touch a QEMU that was started later than the one that it was armed for', async () => {
  const armed = await lifeOf(new Qemu(7).client, {});
  const later = new Qemu(8);
  await rescue(later, { location: 'vm', kept, life: armed, keepBitmaps: true });
  expect(later.asked).toEqual(['query-cpus-fast']);
  expect(later.closed).toBe(1);
});

test('a start that only the door knows of is another one, too', async () => {
  const start = (id: string) => ({ life: async () => id });
  const armed = await lifeOf(new Qemu(7).client, start('1'));
  const later = new Qemu(7);
  await rescue(
    { ...start('2'), connect: later.connect },
    { location: 'vm', kept, life: armed, keepBitmaps: true },
  );
  expect(later.asked).toEqual(['query-cpus-fast']);
});
