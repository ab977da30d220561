import { loadConfiguration } from './config/load.js';
import { Daemon } from './daemon.js';
import { createLogger } from './log.js';

/** How long a stop may take after an error that nobody caught. */
const LAST_CHANCE_MS = 10_000;

/** Runs the daemon until a signal ends it, and then the process. Errors of the start are thrown. */
export async function run(file: string): Promise<void> {
  const configuration = await loadConfiguration(file);
  const logger = createLogger(configuration.daemon['log-level']);
  let daemon = undefined as Daemon | undefined;
  let early: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, 'asked to stop');
    // While it starts, machines may be attached already: they are detached from as soon as it can.
    if (!daemon) {
      early = signal;
      return;
    }
    daemon.stop().then(
      () => process.exit(0),
      (err: unknown) => {
        logger.fatal({ err }, 'the stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // What is wrong with the file has been logged, and the old configuration stays.
  process.on('SIGHUP', () => void daemon?.reload().catch(() => undefined));
  const die = (err: unknown): void => {
    logger.fatal({ err }, 'a defect: the daemon ends and leaves every guest running');
    setTimeout(() => process.exit(1), LAST_CHANCE_MS);
    void daemon?.stop().finally(() => process.exit(1));
    void daemon?.stop();
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  daemon = await Daemon.start(file, configuration, logger);
  if (early) stop(early);
}
