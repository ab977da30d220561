import { readFile, writeFile } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JobStatus } from '../src/model.js';
import { freePort, TestBrowser, withoutChromium } from './support/dashboard-page.js';
import { mock, Place, type Running } from './support/daemon.js';

const LONG = { timeout: 120_000 };
const PATIENCE = { timeout: 30_000 };
const TOKEN = 'a-token-that-only-this-test-knows';

const machines =
  mock('web', 'every = "1s"') +
  mock('quiet', 'every = "1h"') +
  mock('slow', 'every = "1h"', '&slow-capture=600s') +
  `
[machines.mail]
location = "kvm:/nowhere/mail.qmp"
repository = "local"
every = "1h"
`;

const title = `the dashboard in Chromium${withoutChromium === undefined ? '' : ` (not run: ${withoutChromium})`}`;

describe.skipIf(withoutChromium !== undefined)(title, () => {
  let place: Place;
  let daemon: Running;
  let browser: TestBrowser;
  let settings: string;

  beforeAll(async () => {
    place = await Place.make();
    const port = await freePort();
    settings = `listen = "127.0.0.1:${port}"\ntoken-file = "${place.file('token')}"\nmax-captures = 8\ngrace-period = "1s"`;
    await writeFile(place.file('token'), `${TOKEN}\n`);
    await place.configure(machines, settings);
    daemon = await place.start().ready();
    await daemon.until('web', ({ checkpoints }) => checkpoints >= 3);
    await daemon.until('quiet', ({ checkpoints }) => checkpoints >= 1);
    browser = await TestBrowser.start(`http://127.0.0.1:${port}`, TOKEN);
  }, 120_000);

  afterEach(async () => {
    for (const page of browser.context.pages().slice(1)) await page.close();
  });

  afterAll(async () => {
    await browser?.close();
    await place?.remove();
  });

  test('is served whole, to the browser that has the token, and to no other', LONG, async () => {
    const page = await browser.open();
    await page.locator('.connection.live').waitFor();
    const refused = await fetch(browser.origin);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Basic');
  });

  test('shows machines with state and ages, and a problem with its hint', LONG, async () => {
    const page = await browser.open();
    const line = (name: string): Locator => page.locator('.machine-link', { hasText: name });
    expect(await line('web').innerText()).toMatch(
      /Protected[^]*Checkpoint (just now|\d+ s ago)[^]*Verified never/,
    );
    await expect.poll(() => line('mail').innerText(), PATIENCE).toMatch(/Not protected/);
    expect(await page.locator('.summary').innerText()).toMatch(/4 machines[^]*1 needs attention/);
    await line('mail').click();
    const note = page.locator('article .note');
    expect(await note.innerText()).toMatch(/No QEMU answers[^]*Start QEMU with[^]*MACHINE_NOT_FOUND/);
    await page.getByRole('heading', { name: 'No checkpoint yet' }).waitFor();
  });

  test('a timeline grows by itself, with bars that are painted', LONG, async () => {
    const page = await browser.open('#/web');
    const slider = page.getByRole('slider');
    await slider.waitFor();
    const length = async (): Promise<number> => Number(await slider.getAttribute('aria-valuemax'));
    const before = await length();
    await expect.poll(length, PATIENCE).toBeGreaterThan(before + 1);
    expect(await slider.getAttribute('aria-valuenow')).toBe(await slider.getAttribute('aria-valuemax'));
    for (const chart of ['pause', 'dirty', 'stored'])
      expect(await coloursOf(page, `.chart-${chart} canvas`)).toBeGreaterThan(3);
  });

  test('shows which memory a checkpoint changed, as the API counts it', LONG, async () => {
    const page = await browser.open('#/quiet');
    const summary = page.locator('.memory figcaption');
    await summary.filter({ hasText: 'pages of' }).waitFor();
    const map = await daemon.get<{ bins: number[]; pages: number }>('/v1/machines/quiet/memory-map');
    const changed = map.bins.reduce((sum, each) => sum + each, 0);
    expect((await summary.innerText()).replaceAll(',', '')).toContain(`${changed} pages of ${map.pages}`);
    expect(await coloursOf(page, '.memory canvas')).toBeGreaterThan(2);
  });

  test('a job appears with what it does and can be cancelled', LONG, async () => {
    const page = await browser.open('#/slow');
    await page.getByRole('button', { name: 'Checkpoint now' }).click();
    const job = page.locator('.job', { hasText: 'Checkpoint of slow' });
    await job.getByRole('progressbar').waitFor();
    await job.getByRole('button', { name: 'Cancel' }).click();
    await job.filter({ hasText: 'Cancelled' }).waitFor();
    const jobs = await daemon.get<JobStatus[]>('/v1/jobs');
    expect(jobs.find(({ subject }) => subject === 'slow')?.state).toBe('cancelled');
  });

  test('suspends, resumes, verifies', LONG, async () => {
    const page = await browser.open('#/quiet');
    const badge = page.locator('article .badge');
    await page.getByRole('button', { name: 'Suspend' }).click();
    await badge.filter({ hasText: 'Suspended' }).waitFor();
    expect((await daemon.machine('quiet')).state).toBe('suspended');
    await page.getByRole('button', { name: 'Resume' }).click();
    await badge.filter({ hasText: 'Protected' }).waitFor();
    await page.getByRole('button', { name: 'Verify…' }).click();
    await page.getByRole('radio', { name: /All data/ }).check();
    await page.getByRole('dialog').getByRole('button', { name: 'Verify' }).click();
    await page.locator('.job', { hasText: /Verify quiet[^]*checkpoints? good/ }).waitFor();
    await page.locator('.fact', { hasText: /Last verification[^]*(just now|s ago)/ }).waitFor();
  });

  test('restores the checkpoint that was chosen with the keyboard, after a confirmation', LONG, async () => {
    const page = await browser.open('#/web');
    await page.getByRole('slider').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    const [, second] = await daemon.timeline('web');
    await page.locator('.detail', { hasText: `Checkpoint #${second?.sequence}` }).waitFor();
    await page.getByRole('button', { name: 'Restore…' }).click();
    const dialog = page.getByRole('dialog');
    const restore = dialog.getByRole('button', { name: 'Restore' });
    await dialog.getByRole('textbox', { name: 'To' }).fill('mock:elsewhere');
    expect(await restore.isDisabled()).toBe(true);
    await dialog.getByRole('checkbox').check();
    await restore.click();
    await page
      .locator('.job', { hasText: /Restore of web[^]*mock:elsewhere[^]*Restored, running/ })
      .waitFor();
    const [job] = (await daemon.get<JobStatus[]>('/v1/jobs')).filter(({ kind }) => kind === 'restore');
    expect(job).toMatchObject({ state: 'done', result: { checkpoint: second?.id } });
  });

  test('a restore that cannot be says why', LONG, async () => {
    const page = await browser.open('#/quiet');
    await page.getByRole('button', { name: 'Restore…' }).click();
    await page.getByRole('textbox', { name: 'To' }).fill('nothing:there');
    await page.getByRole('checkbox').check();
    await page.keyboard.press('Enter');
    await page.locator('.job.failed', { hasText: /LOCATION_UNKNOWN/ }).waitFor();
  });

  test.each(['light', 'dark'] as const)('fits narrow and wide screens, %s', LONG, async (colorScheme) => {
    const page = await browser.open('#/web');
    await page.emulateMedia({ colorScheme });
    await page.locator('.memory canvas').waitFor();
    for (const width of [360, 800, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      await expect
        .poll(() => page.evaluate<number>('document.documentElement.scrollWidth'), PATIENCE)
        .toBeLessThanOrEqual(width);
    }
    expect(await weakestContrast(page)).toBeGreaterThanOrEqual(4.5);
  });

  test('has asked nobody but its daemon, and nothing complained', () => {
    expect(browser.files.size).toBeGreaterThan(5);
    expect(browser.foreign).toEqual([]);
    expect(browser.complaints).toEqual([]);
  });

  test('finds its daemon again after a restart, and follows a reload', LONG, async () => {
    const page = await browser.open();
    await page.locator('.connection.live').waitFor();
    await daemon.kill('SIGKILL');
    await page.locator('.connection.lost').waitFor();
    expect(await page.locator('.band').innerText()).toMatch(/connection[^]*was lost|does not answer/);
    daemon = await place.start().ready();
    await page.locator('.connection.live').waitFor({ timeout: 60_000 });
    await place.configure('[machines]', settings);
    const { text } = await daemon.request('/v1/reload', { method: 'POST' });
    expect(JSON.parse(text)).toEqual({ machines: [] });
    const empty = { name: 'No machine is protected yet' };
    await page.getByRole('heading', empty).waitFor({ timeout: 60_000 });
    const another = await browser.open();
    await another.getByRole('heading', empty).waitFor({ timeout: 10_000 });
  });
});

/** How many different colours a canvas shows. */
function coloursOf(page: Page, selector: string): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.querySelector('${selector}');
    const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(image.data.buffer)).size;
  })()`);
}

/** The least contrast (WCAG 2) between a text's colour and what is behind it. */
async function weakestContrast(page: Page): Promise<number> {
  const script = await readFile(new URL('./support/weakest-contrast.js', import.meta.url), 'utf8');
  return page.evaluate<number>(script);
}
