import { startGuest, type RunningGuest } from '../../../lab/src/qemu/index.js';

/**
 * Starts the bare-metal guest on KVM, which writes so many pages of 8 MiB a beat; its other memory is empty.
 * QEMU's second monitor is `monitor.sock` in the guest's directory.
 */
export function startBareMetal(mebibytes: number, pages: number): Promise<RunningGuest> {
  return startGuest({
    ...{ accel: 'kvm', memoryKib: mebibytes * 1024, firmwareHeart: { mib: 8, pages } },
    extraArgs: ['-qmp', 'unix:monitor.sock,server=on,wait=off'],
  });
}
