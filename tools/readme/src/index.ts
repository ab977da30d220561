import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export interface RunReadmeOptions {
  /** Which of the README's ```ts blocks to run. Default 0, the first. */
  readonly index?: number;
  /** Milliseconds until the example is killed. Default 30,000. */
  readonly timeoutMs?: number;
  /** Environment variables for the example, added to this process's. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ReadmeRun {
  readonly stdout: string;
  readonly stderr: string;
}

/** The contents of all ```ts blocks of a Markdown text, in order. */
export function readmeExamples(markdown: string): string[] {
  return [...markdown.matchAll(/^```ts\s*\n(.*?)^```\s*$/gms)].map((match) => match[1] ?? '');
}

/**
 * Runs a ```ts block of `packageDir`'s README.md as a program of its own, in an empty working directory, with
 * imports resolved as from inside the package (whose own name resolves to its `dist`: build it first).
 * Throws when there is no such block, when it exits with anything but 0, or when its time is up; the message
 * holds what it printed.
 */
export async function runReadmeExample(
  packageDir: string | URL,
  options: RunReadmeOptions = {},
): Promise<ReadmeRun> {
  const directory = typeof packageDir === 'string' ? packageDir : fileURLToPath(packageDir);
  const examples = readmeExamples(await readFile(path.join(directory, 'README.md'), 'utf8'));
  const source = examples[options.index ?? 0];
  if (source === undefined) throw new Error(`${directory}/README.md has no \`\`\`ts block to run`);

  // Inside the package, so that its imports resolve; .reports is ignored by git, lint and formatting.
  const reports = path.join(directory, '.reports');
  await mkdir(reports, { recursive: true });
  const scriptDirectory = await mkdtemp(path.join(reports, 'readme-'));
  const workingDirectory = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-readme-'));
  try {
    const script = path.join(scriptDirectory, 'example.mjs');
    await writeFile(script, toJavaScript(source));
    return await runNode(script, workingDirectory, options);
  } finally {
    await rm(scriptDirectory, { recursive: true, force: true });
    await rm(workingDirectory, { recursive: true, force: true });
  }
}

function toJavaScript(source: string): string {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  return outputText;
}

function runNode(script: string, cwd: string, options: RunReadmeOptions): Promise<ReadmeRun> {
  const environment = { ...process.env, ...options.env };
  // Set by the test runner for its own workers; an example is no test.
  delete environment['NODE_OPTIONS'];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [script],
      { cwd, env: environment, timeout: options.timeoutMs ?? 30_000 },
      (error, stdout, stderr) => {
        if (!error) resolve({ stdout, stderr });
        else reject(new Error(`the README's example failed: ${error.message}\n${stdout}${stderr}`));
      },
    );
  });
}
