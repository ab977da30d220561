import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** Adds `fitdoc completion SHELL`, and what the shell then asks for. */
export function completionCommand(program: Command): void {
  const completion = tab(program, { completionCommandName: 'completion' });
  for (const command of completion.commands.values()) {
    suggest(command.options.get('compressor'), ['zstd', 'lz4', 'none']);
    suggest(command.options.get('disks'), ['capture', 'external', 'refuse']);
    suggest(command.options.get('format'), ['raw', 'elf', 'qemu', 'xen']);
    suggest(command.options.get('every'), ['500ms', '1s', '5s', '1m']);
  }
}

type Option = NonNullable<ReturnType<ReturnType<typeof tab>['options']['get']>>;

function suggest(option: Option | undefined, values: readonly string[]): void {
  if (!option) return;
  option.handler = (complete) => {
    for (const value of values) complete(value, '');
  };
}
