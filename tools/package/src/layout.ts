import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { createProgram as createDaemon } from '../../../apps/daemon/src/program.js';
import { createProgram as createCli } from '../../../apps/cli/src/program.js';
import { run } from '../../lab/src/shell.js';
import { licences } from './licences.js';
import { manualOf } from './manual.js';
import { layProgram } from './program.js';
import { layRuntime } from './runtime.js';
import type { Release } from './release.js';

const files = path.resolve(import.meta.dirname, '../files');

/**
 * Lays all that a host gets below `usr`: the programs and their runtime in lib/fitdoc, launchers in bin, pages of
 * the manual, completions, the unit, licences. Relative to itself, so that a tarball works wherever it is unpacked.
 */
export async function layUsr(root: string, usr: string, release: Release): Promise<void> {
  const lib = path.join(usr, 'lib', 'fitdoc');
  await layProgram(root, lib, release.target);
  await layRuntime(path.join(lib, 'runtime'), release.target);
  await layLaunchers(root, usr);
  await layManual(usr, release);
  await layCompletions(root, usr);
  await put(path.join(usr, 'lib/systemd/system/fitdocd.service'), await unit(root));
  await put(path.join(usr, 'share/doc/fitdoc/copyright'), await licences(lib, path.join(lib, 'runtime')));
  await rm(path.join(lib, 'runtime', 'LICENSE'));
}

/** What the service is told to protect: nothing yet, and how to say it. */
export async function layConfiguration(etc: string): Promise<void> {
  await put(path.join(etc, 'fitdocd.toml'), await readFile(path.join(files, 'fitdocd.toml'), 'utf8'));
}

async function layLaunchers(root: string, usr: string): Promise<void> {
  const template = await readFile(path.join(files, 'launcher.sh'), 'utf8');
  for (const [program, app] of [
    ['fitdoc', 'cli'],
    ['fitdocd', 'daemon'],
  ] as const) {
    const manifest = await readFile(path.join(root, 'apps', app, 'package.json'), 'utf8');
    const { version } = JSON.parse(manifest) as { readonly version: string };
    const text = template
      .replaceAll('@PROGRAM@', program)
      .replaceAll('@VERSION@', version)
      .replaceAll('@SCRIPT@', `apps/${app}/dist/main.js`);
    await put(path.join(usr, 'bin', program), text, 0o755);
  }
}

async function layManual(usr: string, { date, version }: Release): Promise<void> {
  const day = date.toISOString().slice(0, 10);
  const books = [
    { program: createCli(), section: 1 },
    { program: createDaemon(), section: 8 },
  ];
  for (const { program, section } of books)
    for (const { file, text } of manualOf(program, { section, date: day, version })) {
      const target = path.join(usr, `share/man/man${section}`, `${file}.gz`);
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, gzipSync(text, { level: 9 }));
    }
}

/** As the program itself prints them, for it is what they ask later. */
async function layCompletions(root: string, usr: string): Promise<void> {
  const program = path.join(root, 'apps/cli/dist/main.js');
  const shells = {
    bash: 'bash-completion/completions/fitdoc',
    zsh: 'zsh/vendor-completions/_fitdoc',
    fish: 'fish/vendor_completions.d/fitdoc.fish',
  };
  for (const [shell, place] of Object.entries(shells)) {
    const text = await run(process.execPath, [program, 'completion', shell]);
    await put(path.join(usr, 'share', place), text);
  }
}

async function unit(root: string): Promise<string> {
  const text = await readFile(path.join(root, 'apps/daemon/fitdocd.service'), 'utf8');
  return text.replaceAll('/usr/bin/env fitdocd', '/usr/bin/fitdocd');
}

async function put(file: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, mode);
}

/** Copies the scripts that dpkg runs. */
export async function layMaintainerScripts(control: string): Promise<void> {
  for (const script of ['postinst', 'prerm', 'postrm']) {
    await cp(path.join(files, 'debian', script), path.join(control, script));
    await chmod(path.join(control, script), 0o755);
  }
}
