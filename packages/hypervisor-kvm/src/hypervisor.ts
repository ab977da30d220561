import { FitdocError, type Hypervisor } from '@fitdoc/interface';
import { refuseLibvirts } from './machines/libvirt.js';
import { findMachines } from './machines/list.js';
import { launcher, qemuHypervisor, restoreToFile, socketDoor } from '@fitdoc/qemu';

const FILE = 'file:';
const sockets = socketDoor('kvm');
const qemu = qemuHypervisor({
  ...sockets,
  connect: async (path, options) => {
    refuseLibvirts(path);
    return sockets.connect(path, options);
  },
});

/**
 * The adapter for unmodified QEMU, `kvm:PATH`. To attach, PATH is the QMP socket of a running guest. To
 * restore, it is the QMP socket of a QEMU waiting with `-incoming defer`, or `file:PATH` for a stream file.
 */
export const hypervisor: Hypervisor = Object.freeze({
  ...qemu,
  supports: Object.freeze({ ...qemu.supports, machines: true }),
  machines: findMachines,
  launcher,
  attach: async (location, options) => {
    if (location === '' || location.startsWith(FILE)) throw notASocket(location);
    return qemu.attach(location, options);
  },
  restore: async (location, source, options) => {
    if (!location.startsWith(FILE)) return qemu.restore(location, source, options);
    if (options?.config?.['lazy'] === true) throw noGuest(location);
    return restoreToFile(location.slice(FILE.length), source, options);
  },
} satisfies Hypervisor);

function noGuest(location: string): FitdocError {
  return new FitdocError(
    'CONFIG_INVALID',
    `No guest runs at ${location}, so none before its memory is there.`,
    {
      hint: 'Leave out lazy, or name the QMP socket of a QEMU that waits.',
    },
  );
}

function notASocket(location: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${location}" is no QMP socket.`, {
    hint: 'Write kvm: and the path of a "-qmp unix:PATH,server=on,wait=off" socket.',
  });
}
