import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** The licences of a laid-out program and its runtime, as a copyright file of Debian is read: by people. */
export async function licences(program: string, runtime: string): Promise<string> {
  const parts = [`fitdoc holds the works below, each under its own licence.\n`];
  for (const work of await works(program)) parts.push(heading(work.title), work.text);
  parts.push(heading('Node.js'), await readFile(path.join(runtime, 'LICENSE'), 'utf8'));
  return `${parts.map((part) => part.trimEnd()).join('\n\n')}\n`;
}

interface Work {
  readonly title: string;
  readonly text: string;
}

/** Folders inside a package have package.json files as well: of their tests, or to say how their modules are read. */
const PACKAGE = /(^|\/)node_modules\/(@[^/]+\/)?[^/]+$|^(apps|packages)\/[^/]+$/;

async function works(program: string): Promise<Work[]> {
  const found = new Map<string, Work>();
  for (const entry of await readdir(program, { recursive: true, withFileTypes: true })) {
    if (entry.name !== 'package.json' || !PACKAGE.test(path.relative(program, entry.parentPath))) continue;
    const manifest = JSON.parse(await readFile(path.join(entry.parentPath, entry.name), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const title = `${manifest.name} ${manifest.version}`;
    const text = await licenceText(entry.parentPath);
    if (text === undefined && manifest.license === undefined) throw new Error(`${title} has no licence`);
    found.set(title, { title, text: text ?? `Licence: ${manifest.license}` });
  }
  return [...found.values()].sort((a, b) => (a.title < b.title ? -1 : 1));
}

async function licenceText(folder: string): Promise<string | undefined> {
  const names = (await readdir(folder)).sort().filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  const texts: string[] = [];
  for (const name of names) texts.push(await readFile(path.join(folder, name), 'utf8').catch(() => ''));
  return texts.length === 0 ? undefined : texts.join('\n');
}

function heading(title: string): string {
  return `${'='.repeat(78)}\n${title}\n${'='.repeat(78)}`;
}
