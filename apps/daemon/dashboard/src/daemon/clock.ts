// Time as the daemon tells it, carried on by what this computer measures. No clock that somebody sets here is read:
// a browser's may stand anywhere, and be set while the page is open.

let told = { daemonMs: Date.now(), steadyMs: performance.now() };

/** Whole seconds are all that the header of an answer has: smaller differences are noise. */
const NOISE_MS = 2000;

/** What the daemon's clock showed when it said something that has just come. */
export function learnTime(iso: string): void {
  const daemonMs = Date.parse(iso);
  if (!Number.isNaN(daemonMs)) told = { daemonMs, steadyMs: performance.now() };
}

/** The same of an answer's header, which is a last resort. */
export function learnDate(header: string | null): void {
  const daemonMs = Date.parse(header ?? '');
  if (Math.abs(daemonMs - daemonNow()) > NOISE_MS) told = { daemonMs, steadyMs: performance.now() };
}

/** Milliseconds since 1970 by the daemon's clock. */
export function daemonNow(): number {
  return told.daemonMs + performance.now() - told.steadyMs;
}
