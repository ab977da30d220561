import type { Command } from 'commander';

export interface ManualPage {
  /** `fitdoc-watch.1` */
  readonly file: string;
  /** roff, for man(7). */
  readonly text: string;
}

interface Book {
  readonly section: number;
  /** Of the release, so that a page made again is the same page. */
  readonly date: string;
  readonly version: string;
}

/** A page for the program and one for each of its commands, of the words that `--help` prints. */
export function manualOf(program: Command, book: Book): readonly ManualPage[] {
  const commands = program.commands.filter((command) => isVisible(program, command));
  const others = [program, ...commands].map((command) => pageName(program, command));
  return [program, ...commands].map((command) => {
    const name = pageName(program, command);
    const seeAlso = others.filter((other) => other !== name);
    return { file: `${name}.${book.section}`, text: page(program, command, seeAlso, book) };
  });
}

function page(program: Command, command: Command, seeAlso: readonly string[], book: Book): string {
  const help = command.createHelp();
  const name = pageName(program, command);
  const terms = <T>(items: readonly T[], term: (item: T) => string, text: (item: T) => string): string[] =>
    items.flatMap((item) => ['.TP', `.B ${escaped(term(item))}`, escaped(text(item))]);
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
  const commands = help.visibleCommands(command).filter((each) => each.name() !== 'help');
  return [
    `.TH ${name.toUpperCase()} ${book.section} "${book.date}" "fitdoc ${book.version}" "fitdoc"`,
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(help.commandDescription(command).split('\n')[0]!)}`,
    '.SH SYNOPSIS',
    `.B ${escaped(help.commandUsage(command))}`,
    '.SH DESCRIPTION',
    escaped(help.commandDescription(command)),
    ...list(
      'ARGUMENTS',
      terms(
        help.visibleArguments(command),
        (each) => help.argumentTerm(each),
        (each) => help.argumentDescription(each),
      ),
    ),
    ...list(
      'OPTIONS',
      terms(
        help.visibleOptions(command),
        (each) => help.optionTerm(each),
        (each) => help.optionDescription(each),
      ),
    ),
    ...list(
      'COMMANDS',
      terms(
        commands,
        (each) => help.subcommandTerm(each),
        (each) => help.subcommandDescription(each),
      ),
    ),
    ...list('NOTES', notes(command)),
    ...list('SEE ALSO', [seeAlso.map((other) => `.BR ${escaped(other)} (${book.section})`).join(' ,\n')]),
    '',
  ].join('\n');
}

/** What a command adds behind its help, as it is laid out there. */
function notes(command: Command): string[] {
  let printed = '';
  const before = command.configureOutput();
  command.configureOutput({ writeOut: (text) => (printed += text), getOutHasColors: () => false });
  command.outputHelp();
  command.configureOutput(before);
  const added = printed.slice(command.helpInformation().length).trim();
  return added === '' ? [] : ['.nf', ...added.split('\n').map(escaped), '.fi'];
}

function isVisible(program: Command, command: Command): boolean {
  return program.createHelp().visibleCommands(program).includes(command) && command.name() !== 'complete';
}

function pageName(program: Command, command: Command): string {
  return command === program ? program.name() : `${program.name()}-${command.name()}`;
}

/** A line must not begin as a request does, and no hyphen or backslash may be taken for roff's own. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}
