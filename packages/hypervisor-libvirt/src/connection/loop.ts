import type { Libvirt } from './binding.js';

let running = false;

/** Has libvirt's own event loop run, in a thread of its own, for as long as this process lives: once is enough. */
export async function runEventLoop(libvirt: Libvirt): Promise<void> {
  if (running) return;
  running = true;
  await libvirt.call('virInitialize');
  await libvirt.call('virEventRegisterDefaultImpl');
  const turn = async (): Promise<void> => {
    for (;;) if ((await libvirt.call<number>('virEventRunDefaultImpl')) < 0) return;
  };
  turn().catch(() => (running = false));
}
