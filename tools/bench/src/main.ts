import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createContext } from './context.js';
import { misses, toDocument, toTable, type SectionResult } from './report.js';
import { loadSections } from './sections.js';
import type { Section } from './section.js';

const USAGE = `npm run bench -- [--json FILE] [--only NAME,NAME] [--quick] [--check] [--list]

  --json FILE   also write all figures as one JSON document
  --only NAMES  run these sections only
  --quick       fewer repetitions and smaller inputs: to see that it works, not to quote
  --check       exit with 1 when a figure misses its target
  --list        list the sections`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const all = await loadSections();
  if (values.list) {
    for (const { name, title } of all) console.log(`${name.padEnd(14)}${title}`);
    return 0;
  }
  const startedAtMs = Date.now();
  const results: SectionResult[] = [];
  for (const section of select(all, values.only)) {
    process.stderr.write(`${section.name}: ${section.title}\n`);
    const result = await runSection(section, values.quick);
    results.push(result);
    console.log(toTable(result));
  }
  if (values.json !== undefined) {
    await writeFile(
      values.json,
      `${JSON.stringify(toDocument(results, values.quick, startedAtMs), null, 2)}\n`,
    );
  }
  const missed = misses(results);
  if (missed.length > 0) console.log(`\nTargets missed:\n${missed.map((line) => `  ${line}`).join('\n')}`);
  const failed = results.some((result) => result.failed !== undefined);
  return failed || (values.check && missed.length > 0) ? 1 : 0;
}

function select(all: readonly Section[], only: string | undefined): readonly Section[] {
  if (only === undefined) return all;
  const names = only.split(',').filter(Boolean);
  const unknown = names.filter((name) => !all.some((section) => section.name === name));
  if (unknown.length > 0 || names.length === 0) {
    throw new Error(
      `no section ${unknown.join(', ') || 'named'}; there are ${all.map(({ name }) => name).join(', ')}`,
    );
  }
  return all.filter(({ name }) => names.includes(name));
}

async function runSection(section: Section, quick: boolean): Promise<SectionResult> {
  const context = createContext(quick);
  try {
    const skipped = await section.requires?.();
    if (skipped !== undefined) return { section, rows: [], skipped };
    return { section, rows: await section.run(context) };
  } catch (error) {
    return {
      section,
      rows: [],
      failed: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  } finally {
    await context.dispose();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
