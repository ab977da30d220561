import { cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeDeb } from './debian.js';
import { layUsr } from './layout.js';
import { makeTarball } from './tarball.js';
import type { Release } from './release.js';

export interface Built {
  readonly file: string;
  readonly bytes: number;
}

/**
 * Makes the Debian package and the tarball of built sources into `out`. Nothing that is there changes before both
 * are whole.
 */
export async function buildPackages(
  root: string,
  release: Release,
  out: string,
): Promise<{ readonly deb: Built; readonly tarball: Built }> {
  const { version, target } = release;
  const work = await mkdtemp(path.join(tmpdir(), 'fitdoc-package-'));
  try {
    const usr = path.join(work, 'root', 'usr');
    await layUsr(root, usr, release);
    const deb = path.join(work, `fitdoc_${version}_${target.debian}.deb`);
    const tarball = path.join(work, `fitdoc-${version}-linux-${target.debian}.tar.gz`);
    await makeDeb(path.join(work, 'root'), release, deb);
    await makeTarball(usr, release, tarball);
    await mkdir(out, { recursive: true });
    return { deb: await deliver(deb, out), tarball: await deliver(tarball, out) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function deliver(made: string, out: string): Promise<Built> {
  const file = path.join(out, path.basename(made));
  await cp(made, file);
  return { file, bytes: (await stat(file)).size };
}
