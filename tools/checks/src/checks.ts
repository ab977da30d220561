import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { checkLayers } from '../../check-layers/src/check.js';
import { readPackages } from '../../check-layers/src/workspace.js';
import type { Check, Finding } from './check.js';
import { lines, runScript } from './command.js';
import { pack, publishedPackages, type Packed, type Published } from './published.js';

export const layers: Check = {
  name: 'layers',
  async run(root) {
    const packages = await readPackages(root);
    if (packages.length === 0) throw new Error('there are no packages');
    return { problems: checkLayers(packages), looked: `${packages.length} packages` };
  },
};

export const formatting: Check = {
  name: 'formatting',
  async run(root) {
    const { code, stdout, stderr } = await runScript(root, 'prettier/bin/prettier.cjs', [
      '--list-different',
      '--ignore-unknown',
      '.',
    ]);
    const problems =
      code === 0 ? [] : [...lines(stdout).map((file) => `${file}: npm run format`), ...lines(stderr)];
    return {
      problems: code !== 0 && problems.length === 0 ? [`prettier: exit code ${code}`] : problems,
      looked: 'all files',
    };
  },
};

/** Dependencies, exports and files that nothing uses, and uses of what is not declared. */
export const unused: Check = {
  name: 'knip',
  async run(root) {
    const { code, stdout, stderr } = await runScript(root, 'knip/bin/knip.js', [
      '--no-progress',
      '--no-config-hints',
    ]);
    const problems = code === 0 ? [] : [...lines(stdout), ...lines(stderr)];
    return {
      problems: code !== 0 && problems.length === 0 ? [`knip: exit code ${code}`] : problems,
      looked: 'all workspaces',
    };
  },
};

/** What a package needs besides what its exports name, which publint looks for. */
const REQUIRED_FILES = ['package.json', 'README.md'];

/** The tarballs that would be published: what is in them, that their exports work, and for every resolver. */
export const publishing: Check = {
  name: 'packages',
  async run(root) {
    const packages = await publishedPackages(root);
    if (packages.length === 0) throw new Error('there are no packages');
    const target = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-pack-'));
    try {
      const problems = await inTwos(packages, (each) => checkPublished(root, each, target));
      return {
        problems: problems.flat(),
        looked: `${packages.length} packages (publint, attw)`,
      } satisfies Finding;
    } finally {
      await rm(target, { recursive: true, force: true });
    }
  },
};

async function checkPublished(root: string, each: Published, target: string): Promise<string[]> {
  try {
    const packed = await pack(each, target);
    const missing = REQUIRED_FILES.filter((file) => !packed.files.includes(file));
    return [
      ...missing.map((file) => `${each.name}: ${file} would not be published`),
      ...(await lintPackage(each, packed)),
      ...(await checkTypes(root, each, packed)),
    ];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

async function lintPackage({ name }: Published, { file }: Packed): Promise<string[]> {
  const bytes = await readFile(file);
  const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg } = await publint({ strict: true, pack: { tarball } });
  return messages
    .filter(({ type }) => type !== 'suggestion')
    .map((message) => `${name}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`);
}

async function checkTypes(root: string, { name }: Published, { file }: Packed): Promise<string[]> {
  const args = [file, '--profile', 'esm-only', '--no-emoji', '--no-color', '--format', 'ascii', '--quiet'];
  const quiet = await runScript(root, '@arethetypeswrong/cli/dist/index.js', args);
  if (quiet.code === 0) return [];
  const { stdout, stderr } = await runScript(root, '@arethetypeswrong/cli/dist/index.js', args.slice(0, -1));
  return [
    `${name}: its types do not resolve everywhere`,
    ...lines(stdout + stderr).map((line) => `  ${line}`),
  ];
}

/** Maps with two at a time: each is a process of its own. */
async function inTwos<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await map(items[index] as T);
    }
  };
  await Promise.all([work(), work()]);
  return results;
}
