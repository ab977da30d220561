// Makes what a host installs, from built sources. Usage: npm run package [-- --arch arm64] [--out DIR].
import path from 'node:path';
import { Command } from 'commander';
import { buildPackages } from './build.js';
import { describeRelease } from './release.js';
import { targetOf } from './target.js';

const root = path.resolve(import.meta.dirname, '../../..');

interface Options {
  readonly arch?: string;
  readonly out: string;
}

await new Command('package')
  .description('a Debian package and a tarball that need no Node.js, reproducible')
  .option('--arch <name>', 'amd64 or arm64 (default: of this machine)')
  .option('--out <dir>', 'where they go', path.join(root, 'out'))
  .action(async ({ arch, out }: Options) => {
    const target = targetOf(arch);
    process.stdout.write(`fitdoc for ${target.debian}, with Node.js ${process.versions.node} ...\n`);
    const built = await buildPackages(root, await describeRelease(root, target), out);
    for (const { file, bytes } of Object.values(built))
      process.stdout.write(
        `${(bytes / 1e6).toFixed(1).padStart(6)} MB  ${path.relative(process.cwd(), file)}\n`,
      );
  })
  .parseAsync();
