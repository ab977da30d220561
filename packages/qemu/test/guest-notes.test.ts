import { expect, test } from 'vitest';
import { guestNotes } from '../src/restore/notes.js';
import { informed } from './support/described.js';

const original = 'a8098c1a-f86e-11da-bd1a-00112444be1e';
const fork = '6fa459ea-ee8a-3ca4-894e-db77e160355e';

const noted = (uuid: string | undefined, id: string): string =>
  guestNotes({ ...informed(), id }, { uuid, generationId: false }).join('\n');

test('a machine with the UUID of the original shares it; a fork has its own', () => {
  expect(noted(original, original)).toMatch(`the UUID ${original}`);
  expect(noted(original.toUpperCase(), original)).toMatch(/the UUID A8098C1A/);
  expect(noted(fork, original)).not.toMatch(/UUID/);
});

test('of a machine that goes by another name a UUID counts as shared', () => {
  expect(noted(original, 'web')).toMatch(`the UUID ${original}`);
  expect(noted(undefined, 'web')).not.toMatch(/UUID/);
});
