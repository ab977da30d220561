import type { CallOptions, GuestPort, Launched } from '@fitdoc/interface';
import type { ProbeResult } from './boot-report.js';

/** What a guest that was started has to do. */
export interface BootProbes {
  /** Something that its console must show. */
  readonly console?: RegExp;
  /** Its agent must answer. */
  readonly agent?: boolean;
  /** A port of it must take a connection and, where a banner is given, say so by itself. */
  readonly tcp?: GuestPort & { readonly banner?: RegExp };
  /** Seconds that it is watched for. */
  readonly seconds: number;
  /** Seconds in which its probes must be right; longer than the former, where needed. */
  readonly withinSeconds: number;
}

/** Characters of a banner that are told. */
const SHOWN = 100;

/** Tries a guest's probes, again and again. */
export class Prober {
  readonly #launched: Launched;
  readonly #probes: BootProbes;
  #answered: ProbeResult | undefined;

  constructor(launched: Launched, probes: BootProbes) {
    this.#launched = launched;
    this.#probes = probes;
  }

  /** Tries each once; `text` is what the consoles show. Errors: ABORTED. */
  async try(text: string, signal: AbortSignal | undefined): Promise<ProbeResult[]> {
    const call: CallOptions = signal ? { signal } : {};
    const { console: shown, agent } = this.#probes;
    const results: ProbeResult[] = [];
    if (shown) {
      const found = shown.exec(text)?.[0];
      const about = found === undefined ? `its console does not show ${String(shown)}` : found.trim();
      results.push({ probe: 'console', right: found !== undefined, about });
    }
    if (agent) {
      const right = await this.#launched.pingAgent(call);
      results.push({
        probe: 'agent',
        right,
        about: right ? 'its agent answers' : 'its agent does not answer',
      });
    }
    const tcp = await this.#tryPort(call);
    return tcp ? [...results, tcp] : results;
  }

  /**
   * A port that was right is left alone: its server may count those who call and say nothing. Of calls that were not,
   * the last that was taken tells most.
   */
  async #tryPort(call: CallOptions): Promise<ProbeResult | undefined> {
    const { tcp } = this.#probes;
    if (!tcp || this.#answered?.right) return this.#answered;
    const { taken, said } = await this.#launched.callPort(tcp.banner, call);
    const right = tcp.banner ? tcp.banner.test(said) : taken;
    const result = { probe: 'tcp', right, about: aboutPort(tcp, taken, said) } as const;
    if (taken) this.#answered = result;
    return this.#answered ?? result;
  }
}

function aboutPort({ port, banner }: NonNullable<BootProbes['tcp']>, taken: boolean, said: string): string {
  if (!taken) return `its port ${port} takes no connection`;
  // A guest's words must not move somebody's terminal.
  const words = said
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, SHOWN);
  const heard = words === '' ? 'says nothing' : `says ${words}`;
  return banner && !banner.test(said)
    ? `its port ${port} ${heard}, not ${String(banner)}`
    : `its port ${port} takes connections${words === '' ? '' : ` and ${heard}`}`;
}
