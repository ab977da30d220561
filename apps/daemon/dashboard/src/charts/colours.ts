/** Colours as the style sheet has them now, for what is painted on a canvas. */
export interface Colours {
  readonly text: string;
  readonly grid: string;
  readonly increment: string;
  readonly base: string;
  readonly selected: string;
  readonly empty: string;
  readonly heat: readonly string[];
}

export function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of('muted'),
    grid: of('grid'),
    increment: of('increment'),
    base: of('base'),
    selected: of('selection'),
    empty: of('heat-0'),
    heat: [1, 2, 3, 4, 5].map((step) => of(`heat-${step}`)),
  };
}

/** Calls back when the system changes between light and dark. */
export function onThemeChange(callback: () => void): () => void {
  const query = matchMedia('(prefers-color-scheme: dark)');
  query.addEventListener('change', callback);
  return () => query.removeEventListener('change', callback);
}
