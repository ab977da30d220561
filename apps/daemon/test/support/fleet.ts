import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { Place } from './daemon.js';

export interface FleetMachine {
  readonly name: string;
  /** Default: `id-` and the name. */
  readonly id?: string;
  readonly tags?: readonly string[];
  /** It is defined and does not run. */
  readonly off?: boolean;
  /** What it can never be taken for. */
  readonly refused?: string;
}

const MOCK = new URL('../../../../packages/hypervisor-mock/dist/index.js', import.meta.url).href;
const INTERFACE = new URL('../../../../packages/interface/dist/index.js', import.meta.url).href;

/** Machines of the mock's under the scheme `fleet`, listed as a file says, as an adapter of another maker's. */
export class Fleet {
  private constructor(private readonly place: Place) {}

  static async install(place: Place, machines: readonly FleetMachine[]): Promise<Fleet> {
    const folder = place.file('node_modules/fleet');
    await mkdir(folder, { recursive: true });
    const manifest = { name: 'fleet', type: 'module', exports: './index.js' };
    await writeFile(`${folder}/package.json`, JSON.stringify(manifest));
    const fleet = new Fleet(place);
    await writeFile(`${folder}/index.js`, source(fleet.file));
    await fleet.are(machines);
    return fleet;
  }

  private get file(): string {
    return this.place.file('fleet.json');
  }

  /** From now on there are these. */
  async are(machines: readonly FleetMachine[]): Promise<void> {
    await this.write(JSON.stringify(machines.map(found)));
  }

  /** From now on nobody can tell what there is. */
  async isSilent(): Promise<void> {
    await this.write('silent');
  }

  private async write(text: string): Promise<void> {
    await writeFile(`${this.file}.new`, text);
    await rename(`${this.file}.new`, this.file);
  }
}

function found({ name, id = `id-${name}`, tags = [], off, refused }: FleetMachine): object {
  const code = off ? 'MACHINE_NOT_RUNNING' : 'LOCATION_INVALID';
  const message = off ? `${name} does not run.` : refused;
  const no = message === undefined ? {} : { refused: { code, message } };
  const state = off ? 'shut off' : 'running';
  return { id, name, location: name, locations: [id], state, tags, ways: [], needs: [], ...no };
}

function source(file: string): string {
  return `import { readFile } from 'node:fs/promises';
import { FitdocError } from '${INTERFACE}';
import { hypervisor as mock } from '${MOCK}';
const list = async () => {
  const text = await readFile(${JSON.stringify(file)}, 'utf8');
  if (text === 'silent') throw new FitdocError('MACHINE_NOT_FOUND', 'Nobody can tell.');
  return JSON.parse(text);
};
export const hypervisor = {
  ...mock,
  scheme: 'fleet',
  supports: { attach: true, restore: true, machines: true, patterns: true },
  machines: list,
  attach: async (location, options) => {
    const machine = (await list()).find(({ locations }) => locations.includes(location));
    if (machine?.state !== 'running') throw new FitdocError('MACHINE_NOT_RUNNING', location + ' was asked though it is off');
    return mock.attach(location + '?memory=8M&resident=1M&working=512K', options);
  },
};
`;
}
