import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import type { Target } from './target.js';

/** What is being packed. */
export interface Release {
  readonly version: string;
  readonly target: Target;
  /** Of every file, so that the same sources give the same bytes. */
  readonly date: Date;
}

/**
 * The version of the command, and the moment of the last commit; SOURCE_DATE_EPOCH (seconds since 1970,
 * reproducible-builds.org) goes before it.
 */
export async function describeRelease(root: string, target: Target): Promise<Release> {
  const told =
    process.env['SOURCE_DATE_EPOCH'] ?? (await run('git', ['log', '-1', '--format=%ct'], root)).trim();
  if (!/^\d+$/.test(told)) throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970, not "${told}"`);
  const manifest = JSON.parse(await readFile(path.join(root, 'apps/cli/package.json'), 'utf8')) as {
    readonly version: string;
  };
  return { version: manifest.version, target, date: new Date(Number(told) * 1000) };
}
