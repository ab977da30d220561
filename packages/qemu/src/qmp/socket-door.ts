import type { Door } from '../door.js';
import { programFile } from '../native/programs.js';
import { connectSocket } from './socket.js';

/** The door of a QMP socket, a location being its path. */
export function socketDoor(scheme: string): Door {
  return { scheme, guard: programFile('guard', import.meta.url), connect: connectSocket };
}
