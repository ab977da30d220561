import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Options } from 'tsup';
import base from './tsconfig.base.json' with { type: 'json' };

/** The one way a package of this repository is bundled: ESM with types, for Node 20 and later. */
export function library({ dts = true, ...overrides }: Options = {}): Options {
  return {
    entry: ['src/index.ts'],
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    splitting: true,
    sourcemap: true,
    clean: true,
    ...(dts === true && { onSuccess: declarations }),
    ...overrides,
  };
}

/**
 * Types by the native compiler, a file for each source file: tsup's own way, a bundle made by the other compiler, takes
 * most of a build.
 */
async function declarations(): Promise<void> {
  const { noEmit: _, ...options } = base.compilerOptions;
  const emit = { ...options, declaration: true, emitDeclarationOnly: true, rootDir: 'src', outDir: 'dist' };
  const flags = Object.entries(emit).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const manifest = createRequire(import.meta.url).resolve('@typescript/native-preview/package.json');
  const tsgo = path.join(path.dirname(manifest), 'bin/tsgo');
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const { stdout } = await promisify(execFile)(process.execPath, [
    tsgo,
    '--ignoreConfig',
    ...flags,
    ...sources.map((name) => path.join('src', name)),
  ]).catch((error: { stdout?: string; message: string }) => {
    throw new Error(`The types could not be written:\n${error.stdout || error.message}`);
  });
  if (stdout !== '') process.stdout.write(stdout);
}
