import { connectSocket } from '../qmp/socket.js';
import { runGuard } from './run.js';

// The guard of machines behind QMP sockets.
await runGuard({ connect: connectSocket });
