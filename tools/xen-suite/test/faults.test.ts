import { it } from 'vitest';
import { killedAndStalled } from './support/stalled.js';
import { GUEST, onXen, withGuest } from './support/xen.js';

onXen('captors that fail in the pause', () => {
  withGuest();
  it.each(['direct', 'remus'])('stopped, and then killed, do not keep the guest (%s)', (path) =>
    killedAndStalled(GUEST, path),
  );
});
