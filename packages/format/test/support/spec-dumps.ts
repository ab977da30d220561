import { recordSize } from '../../src/layout.js';
import { placesOf } from './damaged-vectors.js';

/** `bytes` from `offset` on as the specification shows them: offset, 16 bytes in hex, and what of it is text. */
export function hexdump(bytes: Uint8Array, offset: number, length: number): string {
  const lines: string[] = [];
  for (let at = offset; at < offset + length; at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, offset + length));
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = [...row]
      .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'))
      .join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join('\n') + '\n';
}

function partOf(bytes: Uint8Array, part: string): { offset: number; length: number } {
  if (part === 'prefix') return { offset: 0, length: 16 };
  const place = placesOf(bytes).get(part);
  if (!place) throw new Error(`the vector has no record ${part}`);
  return { offset: place.offset, length: recordSize(place.length) };
}

/** The specification with each dump made anew: a block ```hexdump NAME RECORD shows the first such record of a vector. */
export function withDumps(spec: string, bytesOf: (name: string) => Uint8Array): string {
  return spec.replace(/^```hexdump (\S+) (\S+)\n[^]*?^```$/gm, (_, name: string, part: string) => {
    const { offset, length } = partOf(bytesOf(name), part);
    return `\`\`\`hexdump ${name} ${part}\n${hexdump(bytesOf(name), offset, length)}\`\`\``;
  });
}

/** The same for what the specification's program prints. */
export function withOutput(spec: string, output: (name: string) => string): string {
  return spec.replace(
    /^```output (\S+)\n[^`]*^```$/gm,
    (_, name: string) => `\`\`\`output ${name}\n${output(name)}\`\`\``,
  );
}

/** The one program of the specification. */
export function programOf(spec: string): string {
  return /^```js\n([^]*?)^```$/m.exec(spec)?.[1] ?? '';
}
