import { createInterface } from 'node:readline';
import { leaveControlGroup, outlastMemoryShortage } from './escape.js';
import type { GuardMessage } from './messages.js';
import { rescue, type GuardDoor } from './rescue.js';
import { LOOK_EVERY_MS, StallWatch } from './stalled.js';
import { Thawing } from './thawing.js';

interface Watched {
  readonly message: GuardMessage;
  readonly stalls: StallWatch | undefined;
  readonly thawing: Thawing | undefined;
}

/**
 * What a guard process does, from its start to its end: it is told of machines at its standard input, and when that ends
 * sees to those that are left.
 */
export async function runGuard(door: GuardDoor): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  outlastMemoryShortage();
  const escaping = leaveControlGroup();
  const watched = new Map<string, Watched>();
  const left: Promise<void>[] = [];
  const looking = setInterval(() => {
    for (const { stalls } of watched.values()) stalls?.look().catch(() => undefined);
  }, LOOK_EVERY_MS);
  const take = (message: GuardMessage): void => {
    const { owner } = message.kept.record;
    const { stream, type, frozen } = message;
    const before = watched.get(owner)?.thawing;
    if (type === 'guard') {
      const stalls = stream === undefined ? undefined : new StallWatch(stream);
      watched.set(owner, { message, stalls, thawing: Thawing.next(before, frozen) });
    } else {
      watched.delete(owner);
      // Its owner has tried in vain.
      if (before) left.push(before.now());
    }
    if (type === 'leave') left.push(rescue(door, message));
  };
  for await (const line of createInterface({ input: process.stdin })) {
    for (const { stalls } of watched.values()) stalls?.heard();
    if (line !== '') take(JSON.parse(line) as GuardMessage);
  }
  clearInterval(looking);
  const owed = [...watched.values()].map(async ({ message, thawing }) => {
    // The agent answers once the guest runs.
    await Promise.all([rescue(door, message), thawing?.now()]);
  });
  await Promise.all([escaping, ...left, ...owed]);
}
