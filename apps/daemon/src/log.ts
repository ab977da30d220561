import { pino, type Logger } from 'pino';

/** JSON lines on stderr, written before the call returns: nothing is lost when the process is killed. */
export function createLogger(level: string): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
}
