import { MemoryImage, type ImageHandle } from '@fitdoc/diff';

/** Milliseconds after which a worker lets go of an image that it was not asked about. */
const IDLE_MS = 5_000;

interface Entry {
  image: Promise<MemoryImage>;
  timer: NodeJS.Timeout;
}

const entries = new Map<string, Entry>();

/**
 * The image behind a handle, attached once for many tasks. An image that is idle is let go, because a worker
 * that kept it would keep a detached machine's memory alive.
 */
export function attachedImage(handle: ImageHandle): Promise<MemoryImage> {
  const known = entries.get(handle.id);
  if (known) {
    known.timer.refresh();
    return known.image;
  }
  const image = Promise.resolve(MemoryImage.attach(handle));
  const timer = setTimeout(() => entries.delete(handle.id), IDLE_MS).unref();
  entries.set(handle.id, { image, timer });
  return image;
}
