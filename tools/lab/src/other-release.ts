import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './shell.js';

/** Runs apt-get in the folder that it was made for; gives its output. */
export type OtherApt = (...args: string[]) => Promise<string>;

/**
 * An apt that knows one other release of Debian, its lists read; it keeps them in `work`/apt, downloads into `work`, and
 * leaves this system's alone. The packages come from where this system's own do.
 */
export async function otherApt(release: string, work: string): Promise<OtherApt> {
  const settings = await aptSettings(release, work);
  const apt: OtherApt = (...args) => run('apt-get', ['-q', '-c', settings, ...args], work);
  await apt('update');
  return apt;
}

/** Settings for an apt that knows this release only, and of this system nothing but its sources and keys. */
async function aptSettings(release: string, work: string): Promise<string> {
  const apt = join(work, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, folder), { recursive: true });
  await writeFile(join(apt, 'status'), '');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const options = `arch=amd64${existsSync(keys) ? ` signed-by=${keys}` : ''}`;
  await writeFile(join(apt, 'sources.list'), `deb [${options}] ${await ownMirror()} ${release} main\n`);
  const settings = {
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Architecture': 'amd64',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  const path = join(work, 'apt', 'apt.conf');
  await writeFile(path, lines.join(''));
  return path;
}

/** Where this system has Debian's own packages from. */
async function ownMirror(): Promise<string> {
  const told = await run('apt-get', [
    'indextargets',
    '--format',
    '$(ORIGIN) $(LABEL) $(COMPONENT) $(SITE)',
    'Created-By: Packages',
  ]);
  const found = /^Debian Debian main (\S+)$/m.exec(told)?.[1];
  if (found === undefined) throw new Error('the sources of apt name no mirror of Debian');
  return found;
}
