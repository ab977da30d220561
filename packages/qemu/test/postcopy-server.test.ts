import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_SIZE, type RandomPages } from '@fitdoc/interface';
import { afterEach, expect, test } from 'vitest';
import type { Block } from '../src/postcopy/messages.js';
import { PageServer } from '../src/postcopy/server.js';
import { Transmission } from '../src/postcopy/transmission.js';

const PAGES = 4096;
/** All of the upper half is zero. */
const STORED = { start: 0, count: PAGES / 2 };
const BLOCKS: readonly Block[] = [{ name: 'ram', firstGfn: 0, pages: PAGES, pageSize: PAGE_SIZE }];

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A socket whose other end takes everything. */
async function socketToNowhere(): Promise<Socket> {
  const path = join(tmpdir(), `fitdoc-server-${process.pid}.sock`);
  const server = createServer((socket) => void socket.resume()).listen(path);
  await once(server, 'listening');
  const socket = connect({ path });
  await once(socket, 'connect');
  cleanups.push(async () => {
    socket.destroy();
    server.close();
    await rm(path, { force: true });
  });
  return socket;
}

/** A source in which only pages below `end` can be read as yet. */
function readableBelow(end: number): { readonly pages: RandomPages; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const read: RandomPages['read'] = async (gfn, count) => {
    if (gfn < STORED.count && gfn + count > end) await opened;
    const here = Array.from({ length: count }, (_, index) => gfn + index).filter(
      (page) => page < STORED.count,
    );
    return here.map((page) => ({ gfn: page, bytes: new Uint8Array(PAGE_SIZE).fill(1 + (page % 200)) }));
  };
  return { open, pages: { stored: [STORED], read, recent: () => opened.then(() => []) } };
}

test('what guests asked for before comes first: pages with what lies behind them, and zeros', async () => {
  const { pages, open } = readableBelow(512);
  const transmission = new Transmission(BLOCKS, pages.stored);
  const socket = await socketToNowhere();
  const { signal } = new AbortController();
  const server = new PageServer(socket, { pages, transmission, total: PAGES, signal });
  const asked = [300, 3000, 40, 4095, 301];
  const served = server.serve([...asked, PAGES].map((start) => ({ start, count: 1 })));
  const behind = [...Array(33).keys()].flatMap((index) => [300 + index, 301 + index, 40 + index]);
  // Nothing else can have been sent: it cannot be read, nor is known which was written last.
  await expect.poll(() => [...asked, ...behind].every((gfn) => transmission.isSent(gfn))).toBe(true);
  expect(transmission.sentPages).toBe(new Set([...asked, ...behind]).size);
  open();
  await served;
  expect(transmission.left).toBe(0);
  expect(transmission.sentPages).toBe(STORED.count + 2);
});
