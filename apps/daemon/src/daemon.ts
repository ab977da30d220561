import type { Logger } from 'pino';
import { EventStreams } from './api/events.js';
import { listen, type Listening } from './api/listen.js';
import { claimSocket } from './claim-socket.js';
import { loadConfiguration } from './config/load.js';
import type { Configuration } from './config/schema.js';
import { Metrics } from './metrics.js';
import { StateFile } from './supervisor/state-file.js';
import { Supervisor } from './supervisor/supervisor.js';
import { Notifier } from './systemd/notify.js';

/** The daemon while it runs: the supervisor, the API in front of it, and what systemd is told. */
export class Daemon {
  readonly #file: string;
  readonly #logger: Logger;
  readonly #notifier: Notifier;
  readonly #supervisor: Supervisor;
  #listening: Listening | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(file: string, logger: Logger, notifier: Notifier, supervisor: Supervisor) {
    this.#file = file;
    this.#logger = logger;
    this.#notifier = notifier;
    this.#supervisor = supervisor;
  }

  /**
   * Protects what the configuration names and serves the API. When it resolves both are under way; machines
   * attach by themselves. CONFIG_INVALID: also when another daemon listens on the socket.
   */
  static async start(file: string, configuration: Configuration, logger: Logger): Promise<Daemon> {
    const settings = configuration.daemon;
    await claimSocket(settings.socket);
    const notifier = new Notifier(process.env, (err) => logger.warn({ err }, 'systemd was not told'));
    const state = await StateFile.open(settings.state);
    const supervisor = await Supervisor.start(configuration, { logger, state });
    const daemon = new Daemon(file, logger, notifier, supervisor);
    try {
      await daemon.#listen();
    } catch (error) {
      await supervisor.stop();
      throw error;
    }
    notifier.ready(daemon.#summary());
    notifier.startWatchdog(process.env);
    logger.info({ socket: settings.socket, tcp: daemon.#listening?.address }, daemon.#summary());
    return daemon;
  }

  /**
   * Reads the configuration again and takes it over; the names of its machines. CONFIG_INVALID: then the old one
   * stays in force.
   */
  async reload(): Promise<string[]> {
    this.#notifier.reloading();
    try {
      const configuration = await loadConfiguration(this.#file);
      this.#noteWhatWaits(configuration);
      this.#logger.level = configuration.daemon['log-level'];
      await this.#supervisor.apply(configuration);
      this.#logger.info(`configuration reloaded: ${this.#summary()}`);
      return Object.keys(configuration.machines);
    } catch (error) {
      this.#logger.error({ err: error }, 'the configuration was not taken over; the old one stays');
      throw error;
    } finally {
      this.#notifier.ready(this.#summary());
    }
  }

  /** Ends everything, leaving every guest running. A second call makes what is under way be cancelled. */
  stop(): Promise<void> {
    if (this.#stopping) this.#supervisor.hurry();
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#notifier.stopping();
    this.#logger.info('stopping: every guest is left running');
    await this.#supervisor.stop();
    await this.#listening?.close();
    this.#notifier.close();
    this.#logger.info('stopped');
  }

  async #listen(): Promise<void> {
    const supervisor = this.#supervisor;
    const context = {
      supervisor,
      metrics: new Metrics(supervisor),
      events: new EventStreams(supervisor, this.#logger),
      reload: () => this.reload(),
    };
    this.#listening = await listen(context, supervisor.configuration.daemon, this.#logger);
  }

  #noteWhatWaits({ daemon }: Configuration): void {
    const { daemon: before } = this.#supervisor.configuration;
    const changed = (Object.keys(daemon) as (keyof typeof daemon)[]).filter(
      (name) =>
        name !== 'log-level' &&
        name !== 'adapters' &&
        JSON.stringify(daemon[name]) !== JSON.stringify(before[name]),
    );
    if (changed.length > 0)
      this.#logger.warn({ settings: changed }, 'these settings hold from the next start');
  }

  #summary(): string {
    const patterns = this.#supervisor.patterns.status().length;
    const more = patterns > 0 ? `, and what ${patterns} pattern(s) match` : '';
    const standbys = this.#supervisor.standbys.list().length;
    const kept = standbys > 0 ? `, keeping ${standbys} standby(s)` : '';
    return `protecting ${this.#supervisor.machines().length} machine(s)${more}${kept}`;
  }
}
