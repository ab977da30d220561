/** Room for what one client is owed: so many requests and bytes. A request waits until it fits. */
export class Room {
  private requests = 0;
  private bytes = 0;
  private wake: (() => void) | undefined;

  constructor(
    private readonly most: { readonly requests: number; readonly bytes: number },
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.wake?.(), { once: true });
  }

  /** One at a time may wait. Throws what the signal gives. */
  async enter(bytes: number): Promise<void> {
    while (this.requests > 0 && !this.fits(bytes)) {
      this.signal.throwIfAborted();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    this.signal.throwIfAborted();
    this.requests++;
    this.bytes += bytes;
  }

  leave(bytes: number): void {
    this.requests--;
    this.bytes -= bytes;
    this.wake?.();
  }

  private fits(bytes: number): boolean {
    return this.requests < this.most.requests && this.bytes + bytes <= this.most.bytes;
  }
}
