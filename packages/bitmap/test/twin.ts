export interface TwinResult {
  /** Start and count of each run, or the pages. */
  readonly found: number[];
  readonly next: number;
}

function isSet(bytes: Uint8Array, page: number): boolean {
  return ((bytes[page >>> 3] as number) & (1 << (page & 7))) !== 0;
}

/** What the kernel's scanRuns does, a page at a time. */
export function twinRuns(bytes: Uint8Array, pages: number, from: number, limit: number): TwinResult {
  const found: number[] = [];
  let page = from;
  while (page < pages) {
    while (page < pages && !isSet(bytes, page)) page++;
    if (page === pages) break;
    if (found.length === 2 * limit) return { found, next: page };
    const start = page;
    while (page < pages && isSet(bytes, page)) page++;
    found.push(start, page - start);
  }
  return { found, next: pages };
}

/** What the kernel's scanPages does, a page at a time. */
export function twinPages(bytes: Uint8Array, pages: number, from: number, limit: number): TwinResult {
  const found: number[] = [];
  for (let page = from; page < pages; page++) {
    if (!isSet(bytes, page)) continue;
    if (found.length === limit) return { found, next: page };
    found.push(page);
  }
  return { found, next: pages };
}
