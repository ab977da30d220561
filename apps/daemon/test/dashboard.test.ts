import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
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
  mock('lossy', 'every = "1h"') +
  mock('twin', 'every = "1h"') +
  `
[machines.mail]
location = "kvm:/nowhere/mail.qmp"
repository = "local"
every = "1h"
`;

const FITDOC = fileURLToPath(new URL('../../cli/dist/main.js', import.meta.url));

const title = `the dashboard in Chromium${withoutChromium === undefined ? '' : ` (not run: ${withoutChromium})`}`;

describe.skipIf(withoutChromium !== undefined)(title, () => {
  let place: Place;
  let daemon: Running;
  let browser: TestBrowser;
  let settings: string;
  /** Writes the chain of a guest with the same identity as one of the daemon's. */
  let other: ChildProcess;

  beforeAll(async () => {
    place = await Place.make();
    const port = await freePort();
    settings = `listen = "127.0.0.1:${port}"\ntoken-file = "${place.file('token')}"\nmax-captures = 8\ngrace-period = "1s"`;
    await writeFile(place.file('token'), `${TOKEN}\n`);
    const standby = `[standbys.web]\nrepository = "local"\ndir = "${place.file('web')}"\nevery = "200ms"\n`;
    await place.configure(machines + standby, settings);
    const watch = ['watch', 'mock:twin?memory=8M', '--store', place.repository, '--init', '--json'];
    other = spawn(process.execPath, [FITDOC, ...watch], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(other.stdout!, 'data');
    daemon = await place.start().ready();
    await daemon.until('web', ({ checkpoints }) => checkpoints >= 3);
    for (const name of ['quiet', 'lossy']) await daemon.until(name, ({ checkpoints }) => checkpoints >= 1);
    browser = await TestBrowser.start(`http://127.0.0.1:${port}`, TOKEN);
  }, 300_000);

  afterEach(async () => {
    for (const page of browser.context.pages().slice(1)) await page.close();
  });

  afterAll(async () => {
    await browser?.close();
    other?.kill('SIGKILL');
    await place?.remove();
  });

  test('is served whole, to the browser that has the token, and to no other', LONG, async () => {
    const page = await browser.open();
    await page.locator('.connection.live').waitFor();
    const refused = await fetch(`${browser.origin}/v1/machines`);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Basic');
  });

  test.each([
    ['as a password', `http://operator:${TOKEN}@HOST/#/web`],
    ['as ?token=', `http://HOST/?token=${TOKEN}#/web`],
    ['as #token=', `http://HOST/#token=${TOKEN}&/web`],
  ])('opened with the token in its address %s is live, and the address is clean', LONG, async (_, form) => {
    const stranger = await TestBrowser.start(browser.origin);
    try {
      const page = await stranger.context.newPage();
      await page.goto(form.replace('HOST', new URL(browser.origin).host));
      await page.locator('.connection.live').waitFor();
      await page.getByRole('slider').waitFor();
      expect(await page.evaluate('document.baseURI')).toBe(`${browser.origin}/#/web`);
      expect(await page.evaluate('document.documentElement.outerHTML')).not.toContain(TOKEN);
      await page.reload();
      await page.locator('.connection.live').waitFor();
    } finally {
      await stranger.close();
    }
  });

  test('a wrong token in its address is refused with what to do', LONG, async () => {
    const stranger = await TestBrowser.start(browser.origin);
    try {
      const page = await stranger.context.newPage();
      await page.goto(`${browser.origin}/#token=quite-another-token`);
      await page.getByText('The daemon did not accept the token.').waitFor();
    } finally {
      await stranger.close();
    }
  });

  test(
    "ages are the daemon's, whatever this computer's clock shows and however it is set",
    LONG,
    async () => {
      const page = await browser.context.newPage();
      await page.addInitScript(() => {
        const now = Date.now.bind(Date);
        let offset = 5 * 365 * 86_400_000;
        Date.now = () => now() + offset;
        (globalThis as { setBack?: () => void }).setBack = () => (offset = -10 * 86_400_000);
      });
      await page.goto(`${browser.origin}/#/web`);
      const last = page.locator('.fact', { hasText: 'Last checkpoint' });
      const fresh = /Last checkpoint\s*(just now|\d s ago|1\d s ago)/;
      await last.filter({ hasText: fresh }).waitFor();
      const quiet = page.locator('.machine-link', { hasText: 'quiet' });
      expect(await quiet.innerText()).toMatch(/Checkpoint (just now|\d+ s ago|\d min ago)/);
      await page.evaluate('setBack()');
      const before = await page.getByRole('slider').getAttribute('aria-valuemax');
      await expect
        .poll(() => page.getByRole('slider').getAttribute('aria-valuemax'), PATIENCE)
        .not.toBe(before);
      await last.filter({ hasText: fresh }).waitFor();
      expect(await quiet.innerText()).toMatch(/Protected[^]*Checkpoint (just now|\d+ s ago|\d min ago)/);
    },
  );

  test('lets go of a machine for a while and takes it back, with an increment', LONG, async () => {
    const page = await browser.open('#/quiet');
    const badge = page.locator('article .badge');
    const before = await daemon.timeline('quiet');
    await page.getByRole('button', { name: 'Release for 10 min' }).click();
    await badge.filter({ hasText: 'Released' }).waitFor();
    const released = await daemon.machine('quiet');
    expect(released).toMatchObject({ state: 'released' });
    expect(released.machineId).toBeUndefined();
    await page.locator('.fact', { hasText: /Next\s*back in \d+ min/ }).waitFor();
    await page.getByRole('button', { name: 'Take back' }).click();
    await badge.filter({ hasText: 'Protected' }).waitFor();
    await expect.poll(async () => (await daemon.timeline('quiet')).length, PATIENCE).toBe(before.length + 1);
    expect((await daemon.timeline('quiet')).at(-1)).toMatchObject({
      kind: 'increment',
      parent: before.at(-1)?.id,
    });
  });

  test('names a lost object, and who else writes a chain', LONG, async () => {
    const page = await browser.open('#/lossy');
    const folder = place.file('repository/machines/lossy/checkpoints');
    const [first = ''] = await readdir(folder);
    await truncate(path.join(folder, first), 1000);
    await daemon.job('/v1/machines/lossy/verify', { data: 0 });
    const note = page.locator('article .note', { hasText: 'went on without a lost object' });
    expect(await note.innerText()).toContain(first);
    await page.locator('.machine-link', { hasText: 'twin' }).click();
    await page.locator('article .badge', { hasText: 'Another writer' }).waitFor();
    expect(await page.locator('article .note').innerText()).toMatch(
      /fitdoc watch \(process \d+ [^]*MACHINE_CONFLICT/,
    );
  });

  test('shows machines with state and ages, and a problem with its hint', LONG, async () => {
    const page = await browser.open();
    const line = (name: string): Locator => page.locator('.machine-link', { hasText: name });
    expect(await line('web').innerText()).toMatch(
      /Protected[^]*Checkpoint (just now|\d+ s ago)[^]*Verified never/,
    );
    await expect.poll(() => line('mail').innerText(), PATIENCE).toMatch(/Not protected/);
    expect(await page.locator('.summary').innerText()).toMatch(/6 machines[^]*2 need attention/);
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

  test('a standby says how far behind it is, and a promotion that cannot be, why', LONG, async () => {
    const page = await browser.open('#/web');
    const standby = page.locator('[data-standby=web]');
    await standby.filter({ hasText: /Ready[^]*Holds the state of (just now|\d+ s ago)/ }).waitFor();
    await standby.getByRole('button', { name: 'Promote: web' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Promote' }).click();
    // No mock machine can be started.
    await page.locator('.job.failed', { hasText: /Promotion of web[^]*CAPABILITY_MISSING/ }).waitFor();
    await standby.filter({ hasText: 'Ready' }).waitFor();
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
