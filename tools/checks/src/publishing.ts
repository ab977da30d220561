import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import type { Check, Finding } from './check.js';
import { pack, publishedPackages, type Packed, type Published } from './published.js';

/** What a package needs besides what its exports name, which publint looks for. */
const REQUIRED_FILES = ['package.json', 'README.md'];

/** Ways of resolving that no ES module package serves. */
const NOT_SERVED = ['node10', 'node16-cjs'];

/** The tarballs that would be published: what is in them, that their exports work, and for every resolver. */
export const publishing: Check = {
  name: 'packages',
  async run(root) {
    const packages = await publishedPackages(root);
    if (packages.length === 0) throw new Error('there are no packages');
    const isBuilt = ({ directory }: Published): boolean => existsSync(path.join(directory, 'dist'));
    const problems = packages
      .filter((each) => !isBuilt(each))
      .map(({ name }) => `${name} is not built: npm run build`);
    const built = packages.filter(isBuilt);
    if (built.length > 0) problems.push(...(await checkBuilt(root, built)));
    return { problems, looked: `${packages.length} packages (publint, attw)` } satisfies Finding;
  },
};

async function checkBuilt(root: string, packages: readonly Published[]): Promise<string[]> {
  const target = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-pack-'));
  try {
    const problems: string[] = [];
    for (const packed of await pack(root, packages, target)) problems.push(...(await checkPacked(packed)));
    return problems;
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

async function checkPacked({ name, file, files }: Packed): Promise<string[]> {
  const missing = REQUIRED_FILES.filter((each) => !files.includes(each));
  const tarball = new Uint8Array(await readFile(file));
  return [
    ...missing.map((each) => `${name}: ${each} would not be published`),
    ...(await lintPackage(name, tarball)),
    ...(await checkTypes(name, tarball)),
  ];
}

async function lintPackage(name: string, tarball: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: tarball.buffer } });
  return messages
    .filter(({ type }) => type !== 'suggestion')
    .map((message) => `${name}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`);
}

/** Looks at the types as each kind of TypeScript project would find them. */
async function checkTypes(name: string, tarball: Uint8Array): Promise<string[]> {
  const result = await checkPackage(createPackageFromTarballData(tarball));
  // An app is only run.
  if (!result.types) return [];
  return result.problems
    .filter((problem) => !('resolutionKind' in problem && NOT_SERVED.includes(problem.resolutionKind)))
    .map((problem) => {
      const where = 'entrypoint' in problem ? problem.entrypoint : fileOf(problem);
      return `${name}: its types do not resolve everywhere: ${problem.kind} at ${where}`;
    });
}

function fileOf(problem: { readonly fileName: string } | { readonly typesFileName: string }): string {
  return 'fileName' in problem ? problem.fileName : problem.typesFileName;
}
