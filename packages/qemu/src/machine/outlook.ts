import { DirtyForecast, PauseForecast } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** What the pause of the next increment will be, by how the guest wrote and by what the last pauses took. */
export class Outlook {
  private readonly forecast = new PauseForecast();
  private readonly dirty = new DirtyForecast();
  private lastAtMs: number | undefined;
  private pagesPerMs = 0;

  constructor(
    private readonly qmp: QmpClient,
    private readonly totalPages: number,
  ) {}

  /** Notes a capture: `atMs` is when its guest stopped. */
  learn(kind: 'full' | 'increment', pages: number, pauseMs: number, atMs: number): void {
    if (kind === 'increment') {
      this.forecast.learn(pages, pauseMs);
      if (this.lastAtMs !== undefined) this.pagesPerMs = pages / Math.max(1, atMs - this.lastAtMs);
    }
    this.dirty.learn(atMs, kind === 'increment' ? pages : undefined);
    this.lastAtMs = atMs;
  }

  /** Pages that an increment would bring; none before there was one. */
  expectedPages(nowMs: number): number {
    return Math.min(this.totalPages, this.dirty.estimate(nowMs) ?? 0);
  }

  /** Milliseconds; undefined before there was an increment. */
  async expectedMs(nowMs: number, signal: AbortSignal): Promise<number | undefined> {
    if (this.lastAtMs === undefined) return undefined;
    const { ram } = await this.qmp.execute<{ ram?: { 'dirty-pages-rate'?: number } }>(
      'query-migrate',
      {},
      { signal },
    );
    // QEMU's own figure is of the last second in which it looked; ours of the last increment.
    const rate = Math.max(this.pagesPerMs, (ram?.['dirty-pages-rate'] ?? 0) / 1000);
    return this.forecast.estimate(Math.min(this.totalPages, rate * (nowMs - this.lastAtMs)));
  }
}
