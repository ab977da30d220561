import { useEffect, useState } from 'preact/hooks';
import { daemonNow } from '../daemon/clock.js';

/** The daemon's time, anew every second. */
export function useNow(): number {
  const [now, setNow] = useState(daemonNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(daemonNow()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** A value that changes at most every `ms`; a change of `key` shows at once. */
export function useCalm<T>(value: T, key: string, ms: number): T {
  const [calm, setCalm] = useState({ value, key, at: 0 });
  useEffect(() => {
    if (Object.is(calm.value, value) && calm.key === key) return undefined;
    const wait = calm.key === key ? Math.max(0, calm.at + ms - performance.now()) : 0;
    const timer = setTimeout(() => setCalm({ value, key, at: performance.now() }), wait);
    return () => clearTimeout(timer);
  }, [value, key, calm]);
  return calm.key === key ? calm.value : value;
}
