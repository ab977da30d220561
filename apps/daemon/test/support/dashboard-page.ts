import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { chromiumFlags, chromiumPath, missingForChromium } from '../../../../tools/lab/src/chromium/index.js';

const missing = await missingForChromium();
const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');

/** Why the dashboard cannot be tested here, printed. Where the suite is required it runs, and fails. */
export const withoutChromium =
  missing !== undefined && !required.includes('dashboard') && !required.includes('all') ? missing : undefined;
if (withoutChromium !== undefined)
  process.stderr.write(`skipped: the dashboard in Chromium (dashboard): ${withoutChromium}\n`);

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A real browser that knows the token, when it is given one, and notes what a page must not do. */
export class TestBrowser {
  /** Requests that left the origin. */
  readonly foreign: string[] = [];
  /** Errors and warnings on the console (a violated policy is one), and exceptions. */
  readonly complaints: string[] = [];
  /** Paths that were asked for at the origin. */
  readonly files = new Set<string>();

  private constructor(
    readonly context: BrowserContext,
    readonly origin: string,
    readonly profile: string,
  ) {}

  static async start(origin: string, token?: string): Promise<TestBrowser> {
    const profile = await mkdtemp(path.join(tmpdir(), 'fitdoc-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath,
      args: [...chromiumFlags],
      ...(token !== undefined && { httpCredentials: { username: 'operator', password: token } }),
      viewport: { width: 1280, height: 900 },
    });
    return new TestBrowser(context, origin, profile);
  }

  /** Opens a page whose every request and complaint is noted. */
  async open(hash = ''): Promise<Page> {
    const page = await this.context.newPage();
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== this.origin) this.foreign.push(request.url());
      else this.files.add(new URL(request.url()).pathname);
    });
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      this.complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    await page.goto(`${this.origin}/${hash}`);
    return page;
  }

  async close(): Promise<void> {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }
}
