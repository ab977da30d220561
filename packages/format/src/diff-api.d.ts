declare module '@fitdoc/diff' {
  import type { PageBatch } from '@fitdoc/interface';
  export function diffPages(next: Uint8Array, image: Uint8Array): PageBatch;
  export function applyBatch(batch: PageBatch, target: Uint8Array): void;
}
