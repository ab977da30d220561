import { runGuard } from '@fitdoc/qemu';
import { door } from './door.js';

// The guard of libvirt's domains.
await runGuard(door);
