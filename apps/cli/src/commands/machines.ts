import { findMachines, type FoundByScheme } from '@fitdoc/adapters';
import type { FoundMachine } from '@fitdoc/interface';
import type { Command } from 'commander';
import { bytes } from '../output/units.js';
import { shellWord } from '../output/shell-word.js';
import { action, commonOptions, type CommonOptions } from '../session.js';

export function machinesCommand(program: Command): void {
  commonOptions(
    program
      .command('machines [name...]')
      .description(
        'what this host could protect: its virtual machines (all, or those of a name or UUID), and the line to type',
      )
      .addHelpText(
        'after',
        '\nNo guest is disturbed. A machine whose monitor socket somebody holds is listed by what its process tells.',
      ),
  ).action(
    action<[string[]], CommonOptions>(async (session, _options, names) => {
      const wanted = ({ id, name }: Pick<FoundMachine, 'id' | 'name'>): boolean =>
        names.length === 0 || names.includes(name) || (id !== undefined && names.includes(id));
      const found = await findMachines({ signal: session.signal, wanted });
      const { terminal } = session;
      terminal.data(asJson(found));
      const machines = found.flatMap(({ scheme, machines: all }) => all.map((each) => ({ scheme, ...each })));
      machines.forEach((machine, index) => {
        if (index > 0) terminal.line();
        for (const line of lines(machine)) terminal.line(printable(line));
      });
      if (machines.length === 0)
        terminal.line(
          names.length === 0
            ? 'This host runs no virtual machine that can be seen.'
            : `This host runs no virtual machine ${names.join(', ')} that can be seen.`,
        );
      for (const { scheme, absent } of found) {
        // That a host is none of Xen's is no news; that it does not answer is.
        if (absent !== undefined && absent.code !== 'CAPABILITY_MISSING')
          terminal.note(`${scheme}: ${absent.message} ${absent.hint ?? ''}`.trimEnd());
      }
    }),
  );
}

type Machine = FoundMachine & { readonly scheme: string };

/** The field names are part of the interface. */
function asJson(found: readonly FoundByScheme[]): Record<string, unknown> {
  return {
    machines: found.flatMap(({ scheme, machines }) =>
      machines.map((machine) => ({
        scheme,
        id: machine.id ?? null,
        name: machine.name,
        location: machine.location === undefined ? null : `${scheme}:${machine.location}`,
        elsewhere: machine.elsewhere ?? null,
        state: machine.state ?? null,
        memory_bytes: machine.memoryBytes ?? null,
        disks: machine.disks ?? null,
        ways: machine.ways,
        refused: machine.refused ?? null,
        needs: machine.needs,
        external_disks: machine.externalDisks ?? false,
        line: lineFor({ scheme, ...machine }) ?? null,
      })),
    ),
    hosts: found.map(({ scheme, absent }) => ({
      scheme,
      present: absent === undefined,
      ...(absent && { code: absent.code, message: absent.message, hint: absent.hint }),
    })),
  };
}

/** What to type to protect it. */
function lineFor({ scheme, location, elsewhere, refused, externalDisks }: Machine): string | undefined {
  const external = externalDisks === true ? ' --disks external' : '';
  if (elsewhere !== undefined) return `fitdoc watch ${shellWord(elsewhere)} --store DIRECTORY`;
  if (refused !== undefined || location === undefined) return undefined;
  return `fitdoc watch ${shellWord(`${scheme}:${location}`)} --store DIRECTORY${external}`;
}

function lines(machine: Machine): string[] {
  const { scheme, name, state, memoryBytes, disks, ways, refused, needs } = machine;
  const facts = [
    state ?? 'not asked',
    ...(memoryBytes === undefined ? [] : [bytes(memoryBytes)]),
    ...(disks === undefined
      ? []
      : [disks.length === 0 ? 'no disks' : `disks: ${disks.map(diskWords).join(', ')}`]),
  ];
  const possible = ways.filter((way) => way.refused === undefined);
  const line = lineFor(machine);
  return [
    `${name} (${scheme}): ${facts.join(', ')}`,
    ...possible.map(
      (way) => `  by ${way.name}: ${way.increments ? 'what changed' : 'all of the memory each time'}`,
    ),
    ...ways.flatMap((way) => (way.refused === undefined ? [] : [`  not by ${way.name}: ${way.refused}`])),
    ...needs.map((need) => `  note: ${need}`),
    ...(refused ? [`  refused: ${refused.message} [${refused.code}]`] : []),
    ...(refused?.hint !== undefined && line === undefined ? [`  ${refused.hint}`] : []),
    ...(line === undefined ? [] : [`  ${line}`]),
  ];
}

function diskWords({ name, writable, sizeBytes }: NonNullable<Machine['disks']>[number]): string {
  const size = sizeBytes === undefined ? '' : ` ${bytes(sizeBytes)}`;
  return `${name}${size}${writable ? '' : ' (read-only)'}`;
}

/** Names are their operators' to choose, and come from other users' processes, too. */
function printable(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '?');
}
