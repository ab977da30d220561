/** Gathers big-endian fields and bytes into chunks. */
export class StreamBuffer {
  length = 0;
  private buffer = new Uint8Array(1 << 21);
  private view = new DataView(this.buffer.buffer);

  byte(value: number): void {
    this.room(1);
    this.buffer[this.length++] = value;
  }

  uint16(value: number): void {
    this.byte(value >>> 8);
    this.byte(value & 0xff);
  }

  uint32(value: number): void {
    this.room(4);
    this.view.setUint32(this.length, value);
    this.length += 4;
  }

  uint64(value: number): void {
    this.uint32(Math.floor(value / 0x1_0000_0000));
    this.uint32(value % 0x1_0000_0000);
  }

  text(value: string): void {
    this.bytes(Buffer.from(value, 'latin1'));
  }

  /** A string of at most 255 bytes with its length before it. */
  named(value: string): void {
    this.byte(value.length);
    this.text(value);
  }

  bytes(value: Uint8Array): void {
    this.room(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  /** Gives away what was gathered, and starts anew. */
  take(): Uint8Array {
    const taken = this.buffer.slice(0, this.length);
    this.length = 0;
    return taken;
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + bytes));
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
  }
}
