import { writeFile } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';
import type { RepositoryKeys } from '@fitdoc/repository';
import {
  fingerprintOf,
  newKeyText,
  parseKeyFile,
  wipeSecret,
  type Holder,
  type SlotInfo,
} from '@fitdoc/sealing';
import Table from 'cli-table3';
import { Option, type Command } from 'commander';
import { time } from '../output/units.js';
import { canPrompt, collect, labelOf, promptPassphrase, Secrets } from '../secrets/index.js';
import {
  action,
  commonOptions,
  storeOptions,
  type CommonOptions,
  type Session,
  type StoreOptions,
} from '../session.js';
import { tellRecoveryKey } from './init.js';

interface AddOptions extends StoreOptions {
  readonly newPassphraseFile?: string;
  readonly newPassphraseCommand?: string;
  readonly newKeyFile?: string;
  readonly recipient?: string;
  readonly recoveryKey?: boolean;
  readonly label?: string;
}

interface RotateOptions extends StoreOptions {
  readonly drop?: boolean;
  readonly recipient?: readonly string[];
}

export function keyCommand(program: Command): void {
  const key = program
    .command('key')
    .description('who can open an encrypted repository: list, add, remove, rotate; make a key file: new');
  listCommand(key);
  addCommand(key);
  removeCommand(key);
  rotateCommand(key);
  newCommand(key);
  for (const command of key.commands) command.copyInheritedSettings(program);
}

function listCommand(key: Command): void {
  storeOptions(key.command('list').description('the secrets that open the repository')).action(
    action<[], StoreOptions>(async (session, options) => {
      const keys = await keysOf(session, options);
      const slots = await keys.list({ signal: session.signal });
      session.terminal.data({ key_id: keys.currentId, slots: slots.map(asJson) });
      const rows = new Table({
        head: ['id', 'kind', 'label', 'made', 'opens'],
        style: { head: [], border: [], compact: true },
      });
      for (const slot of slots)
        rows.push([slot.id, slot.kind, slot.label, time(slot.createdAtMs), whatOpens(slot, keys)]);
      session.terminal.line(rows.toString());
    }),
  );
}

function addCommand(key: Command): void {
  storeOptions(
    key
      .command('add')
      .description('let another secret open the repository; without one named, a passphrase is asked for')
      .option('--new-passphrase-file <file>', 'a file with the new passphrase')
      .option('--new-passphrase-command <command>', 'a shell command that prints the new passphrase')
      .option('--new-key-file <file>', 'a key file (fitdoc key new FILE makes one), or an age identity')
      .option('--recipient <age1...>', 'an age recipient')
      .addOption(new Option('--recovery-key', 'make a key and print it, to be kept on paper'))
      .option('--label <text>', 'a name for it, for people'),
  ).action(
    action<[], AddOptions>(async (session, options) => {
      const keys = await keysOf(session, options);
      const recoveryKey = options.recoveryKey ? newKeyText() : undefined;
      const holder = await newHolder(session, options, recoveryKey);
      const label = options.label ?? (recoveryKey === undefined ? labelOf(holder) : 'recovery key');
      const slot = await keys.add(holder, label, { signal: session.signal });
      if (holder.kind !== 'recipient') wipeSecret(holder);
      session.terminal.line(`added ${slot.id}: ${describe(slot)}`);
      if (recoveryKey !== undefined) tellRecoveryKey(session, recoveryKey);
      session.terminal.data({
        message_type: 'summary',
        added: asJson(slot),
        ...(recoveryKey !== undefined && { recovery_key: recoveryKey }),
      });
    }),
  );
}

function removeCommand(key: Command): void {
  storeOptions(
    key
      .command('remove <id>')
      .description(
        'no longer let a secret open the repository (what it could read it may have kept: see rotate)',
      ),
  ).action(
    action<[string], StoreOptions>(async (session, options, id) => {
      const keys = await keysOf(session, options);
      const slot = await keys.remove(id, { signal: session.signal });
      session.terminal.line(`removed ${slot.id}: ${describe(slot)}`);
      session.terminal.data({ message_type: 'summary', removed: asJson(slot) });
    }),
  );
}

function rotateCommand(key: Command): void {
  storeOptions(
    key
      .command('rotate')
      .description('a new key for what is stored from now on; name the secret of every slot that is to stay')
      .option('--recipient <age1...>', 'an age recipient who is to stay (key list shows them)', collect)
      .option('--drop', 'leave out those who are not named'),
  ).action(
    action<[], RotateOptions>(async (session, options) => {
      const keys = await keysOf(session, options);
      const { drop = false, recipient: recipients = [] } = options;
      const call = { signal: session.signal, drop, recipients };
      const { keyId, slots, dropped } = await keys.rotate(await session.secrets.get(), call);
      session.terminal.line(`the key is ${keyId} now; ${slots.length} secrets open it`);
      for (const slot of dropped) session.terminal.line(`dropped ${slot.id}: ${describe(slot)}`);
      session.terminal.note(
        'note: what was stored before stays sealed with the old key. Restart what has the repository open.',
      );
      session.terminal.data({
        message_type: 'summary',
        key_id: keyId,
        slots: slots.map(asJson),
        dropped: dropped.map(asJson),
      });
    }),
  );
}

function newCommand(key: Command): void {
  commonOptions(key.command('new <file>').description('make a key file, for --key-file')).action(
    action<[string], CommonOptions>(async (session, _options, file) => {
      const text = newKeyText();
      const secret = parseKeyFile(text, file);
      const fingerprint = secret.kind === 'key' ? fingerprintOf(secret.bytes) : '';
      wipeSecret(secret);
      const comment = `# A key of fitdoc, ${fingerprint}. Whoever has it opens every repository to which it was added.\n`;
      await writeFile(file, `${comment}${text}\n`, { flag: 'wx', mode: 0o600 }).catch(
        (cause: NodeJS.ErrnoException) => {
          throw new FitdocError('ARGUMENT_INVALID', `${file} cannot be made: ${cause.code}.`, {
            cause,
            hint: 'Name a file that is not there yet: a key that is overwritten is lost.',
          });
        },
      );
      session.terminal.line(`made key ${fingerprint} in ${file}`);
      session.terminal.data({ message_type: 'summary', file, fingerprint });
    }),
  );
}

async function keysOf(session: Session, options: StoreOptions): Promise<RepositoryKeys> {
  const repository = await session.repository(options);
  if (repository.encryption) return repository.encryption.keys;
  throw new FitdocError('ARGUMENT_INVALID', 'The repository is not encrypted: it has no keys.', {
    hint: 'Make an encrypted one with fitdoc init --encrypt, and copy into it.',
  });
}

async function newHolder(
  session: Session,
  options: AddOptions,
  recoveryKey: string | undefined,
): Promise<Holder> {
  const { newPassphraseFile: file, newPassphraseCommand: command, newKeyFile, recipient } = options;
  const named = [file, command, newKeyFile, recipient, recoveryKey].filter((each) => each !== undefined);
  if (named.length > 1) throw new FitdocError('ARGUMENT_INVALID', 'One secret is added at a time.');
  if (recoveryKey !== undefined) return parseKeyFile(recoveryKey, 'recovery key');
  if (recipient !== undefined) return { kind: 'recipient', recipient };
  const asking = { signal: session.signal, onNote: (note: string) => session.terminal.note(note) };
  if (named.length === 0 && canPrompt()) return promptPassphrase('Passphrase to add', true, session.signal);
  const source = {
    ...(file !== undefined && { passphraseFile: [file] }),
    ...(command !== undefined && { passphraseCommand: command }),
    ...(newKeyFile !== undefined && { keyFile: [newKeyFile] }),
  };
  const [secret] = await new Secrets(source, asking, false).getNew(false);
  if (secret) return secret;
  throw new FitdocError('ARGUMENT_INVALID', 'What is to be added was not named.', {
    hint: 'Add --new-passphrase-file, --new-key-file, --recipient or --recovery-key.',
  });
}

function describe(slot: SlotInfo): string {
  const what = slot.fingerprint ?? slot.recipient;
  return [slot.kind, slot.label, what].filter((part) => part !== undefined && part !== '').join(', ');
}

function whatOpens(slot: SlotInfo, keys: RepositoryKeys): string {
  const state = slot.keyId === keys.currentId ? '' : ' (an older key only)';
  return `${slot.fingerprint ?? slot.recipient ?? ''}${state}`;
}

/** The field names are part of the interface. */
function asJson(slot: SlotInfo): Record<string, unknown> {
  return {
    id: slot.id,
    kind: slot.kind,
    label: slot.label,
    created_at: new Date(slot.createdAtMs).toISOString(),
    key_id: slot.keyId,
    fingerprint: slot.fingerprint ?? null,
    recipient: slot.recipient ?? null,
  };
}
