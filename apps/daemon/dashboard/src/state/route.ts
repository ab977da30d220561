import { useEffect, useState } from 'preact/hooks';

/** What the page shows, as its address says: `#/MACHINE/CHECKPOINT`, so that it can be kept and sent. */
export interface Route {
  readonly machine?: string;
  /** Undefined: the newest, whichever that is. */
  readonly checkpoint?: string;
}

export function linkTo({ machine, checkpoint }: Route): string {
  return `#/${[machine, checkpoint]
    .filter((part) => part !== undefined)
    .map(encodeURIComponent)
    .join('/')}`;
}

function readRoute(): Route {
  const [machine, checkpoint] = location.hash.replace(/^#\/?/, '').split('/').map(decode);
  return { ...(machine && { machine }), ...(machine && checkpoint && { checkpoint }) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const CHANGED = 'fitdoc:route';

/** Changes the address without a step in the history: walking along a timeline would fill that. */
export function goTo(route: Route): void {
  history.replaceState(null, '', linkTo(route));
  dispatchEvent(new Event(CHANGED));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(readRoute);
  useEffect(() => {
    const update = (): void => setRoute(readRoute());
    addEventListener('hashchange', update);
    addEventListener(CHANGED, update);
    return () => {
      removeEventListener('hashchange', update);
      removeEventListener(CHANGED, update);
    };
  }, []);
  return route;
}
