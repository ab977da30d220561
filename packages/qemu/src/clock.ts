/** What is added to the steady clock: where the system's clock stood at that one's zero, as last seen. */
let offsetMs = performance.timeOrigin;

/**
 * The time by QEMU's clock for events, which is the system's: milliseconds since 1970, with fractions. It follows a clock
 * that is set, forward and back, so that what QEMU does after it was asked is not taken for earlier.
 */
export function nowMs(): number {
  const steadyMs = performance.now();
  const wholeMs = Date.now();
  const found = offsetMs + steadyMs;
  if (found >= wholeMs && found < wholeMs + 1) return found;
  offsetMs = wholeMs - steadyMs;
  return wholeMs;
}
