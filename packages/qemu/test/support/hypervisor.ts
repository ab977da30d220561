import { qemuHypervisor } from '../../src/hypervisor.js';
import { socketDoor } from '../../src/qmp/socket-door.js';

/** Of QMP sockets, as the adapter for them makes it. */
export const hypervisor = qemuHypervisor(socketDoor('kvm'));
