import { Command } from 'commander';
import { expect, it } from 'vitest';
import { manualOf } from '../src/manual.js';

it('says in pages of the manual what --help says, and nothing that roff would take for its own', () => {
  const program = new Command('tool').description('keeps things\nand more');
  program
    .command('keep <thing>')
    .description("keep it: .dots and 'quotes' at a line's start\n.stay text, so does a \\ in C:\\x")
    .option('-n, --number <n>', 'how often', '3')
    .addHelpText('after', '\n  tool keep x\n  .hidden');
  program.command('secret', { hidden: true });
  const pages = manualOf(program, { section: 1, date: '2026-01-02', version: '9.9.9' });
  expect(pages.map(({ file }) => file)).toEqual(['tool.1', 'tool-keep.1']);
  expect(pages[0]!.text).toContain('.TH TOOL 1 "2026-01-02" "fitdoc 9.9.9" "fitdoc"');
  expect(pages[0]!.text).toContain('tool \\- keeps things\n');
  const page = pages[1]!.text;
  expect(page).toContain('.TP\n.B \\-n, \\-\\-number <n>\nhow often (default: "3")');
  expect(page).toContain('\n\\&.stay text, so does a \\e in C:\\ex');
  expect(page).toContain('.nf\ntool keep x\n  .hidden\n.fi');
  expect(page).toContain('.BR tool (1)');
});
