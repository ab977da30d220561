import { has, run } from './shell.js';

/**
 * Installs, from Debian, the packages of those programs that are not there: program to package. Needs root only
 * if one is missing.
 */
export async function installPrograms(programs: Readonly<Record<string, string>>): Promise<void> {
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(programs)) if (!(await has(program))) missing.add(name);
  // A compiler alone has no headers to compile against.
  if (missing.has('gcc')) missing.add('libc6-dev');
  if (missing.size > 0) await installPackages([...missing]);
}

/** Installs packages from Debian, without what they recommend. */
export async function installPackages(names: readonly string[]): Promise<void> {
  const apt = ['-o', 'DPkg::Lock::Timeout=600', '-q', '-y'];
  await run('apt-get', [...apt, 'update']);
  await run('apt-get', [...apt, 'install', '--no-install-recommends', ...names]);
}
