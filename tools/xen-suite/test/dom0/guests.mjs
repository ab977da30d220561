// What the test guests say of themselves on their consoles.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pause } from './memory.mjs';

export const xl = (...words) => execFileSync('xl', words, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

export function words(name) {
  const text = readFileSync(`/var/log/xen/guest-${name}.log`, 'latin1');
  const steps = [...text.matchAll(/GUEST-OK steps=(\d+)/g)].map((match) => Number(match[1]));
  return { steps, bad: text.split('GUEST-BAD').length - 1 };
}

/** Waits until a guest has swept its memory `count` times more; gives what it said first and last. */
export async function proof(name, count, seconds = 120) {
  const seen = words(name).steps.length;
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(200)) {
    const { steps, bad } = words(name);
    if (bad > 0 || steps.length >= seen + count) return { first: steps[seen], last: steps.at(-1), bad };
  }
  throw new Error(`guest ${name} says nothing; ${xl('list')}`);
}

/** `done`, or the code and message of what went wrong. */
export const outcome = (work) =>
  Promise.resolve()
    .then(work)
    .then(
      () => 'done',
      (error) => `${error.code}: ${error.message}`,
    );
