import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { resumeLine } from '../src/restore/resume-line.js';

/** What a shell makes of a line. */
function words(line: string): string[] {
  return execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
}

it('the line that goes on with a lazy restore has all that opens the repository, and no secret', () => {
  const line = resumeLine('ab12', {
    to: 'kvm:/run/vm.qmp',
    store: "/srv/it's here",
    also: 's3:bucket/copy',
    lazy: true,
    set: ['channels=2'],
    keyFile: ['/etc/host.key', 'age id'],
    passphraseFile: ['/etc/pass'],
    passphraseCommand: 'vault --token=TELLTALE read pass',
    passphraseFd: '3',
  });
  expect(words(line)).toEqual([
    ...['fitdoc', 'restore', 'ab12', '--resume', '--to', 'kvm:/run/vm.qmp', '--store', "/srv/it's here"],
    ...['--also', 's3:bucket/copy', '--set', 'channels=2'],
    ...['--key-file', '/etc/host.key', '--key-file', 'age id', '--passphrase-file', '/etc/pass'],
    ...['--passphrase-command', 'COMMAND', '--passphrase-fd', 'NUMBER'],
  ]);
  expect(line).not.toContain('TELLTALE');
});

it('and is short where the options are few', () => {
  expect(resumeLine('ab12', { to: 'kvm:x', store: 'r' })).toBe(
    'fitdoc restore ab12 --resume --to kvm:x --store r',
  );
});
