import { newKeyText, parseKeyFile, type Holder } from '@fitdoc/sealing';
import { Repository, type EncryptOptions, type InitOptions } from '@fitdoc/repository';
import type { Command } from 'commander';
import { collect, labelOf, nobodyToOpen } from '../secrets/index.js';
import { FitdocError } from '@fitdoc/interface';
import { action, storeLocation, storeOptions, type Session, type StoreOptions } from '../session.js';

interface InitCliOptions extends StoreOptions {
  readonly group?: string;
  readonly encrypt?: boolean;
  readonly recipient?: readonly string[];
  readonly recoveryKey?: boolean;
  readonly keyOf?: string;
}

export function initCommand(program: Command): void {
  storeOptions(
    program
      .command('init [store]')
      .description('make a repository for checkpoints: fitdoc init ./ckpts, fitdoc init s3:BUCKET/PREFIX')
      .option('--group <name>', 'let a group read what is stored in a directory (default: you alone)')
      .option(
        '--encrypt',
        'seal all that is stored; who has the given secrets, or is asked for a passphrase, can open it',
      )
      .option('--recipient <age1...>', 'with --encrypt: an age recipient who can open it, too', collect)
      .option('--recovery-key', 'with --encrypt: print a further key, to be kept on paper')
      .option(
        '--key-of <store>',
        'with --encrypt: the key of another repository, so that copy --as-is can go between the two',
      ),
  ).action(
    action<[string | undefined], InitCliOptions>(async (session, options, place) => {
      const location = placeOf('init', place, options);
      refuseWithoutEncrypt(session, options);
      const settings = options.group === undefined ? {} : { group: options.group };
      const begun = options.encrypt ? await encryption(session, options) : undefined;
      const store = await session.storeAt(location, true, settings);
      const repository = await Repository.init(store, begun?.options);
      session.onClose(() => repository.close());
      session.tellNotes(repository.store);
      const { id, encrypted } = repository.config;
      session.terminal.line(`made repository ${id} at ${location}${encrypted ? ', encrypted' : ''}`);
      if (begun?.recoveryKey !== undefined) tellRecoveryKey(session, begun.recoveryKey);
      session.terminal.data({
        message_type: 'summary',
        repository: id,
        location,
        encrypted,
        ...(begun?.recoveryKey !== undefined && { recovery_key: begun.recoveryKey }),
      });
    }),
  );
}

/** For people: the key is in no file, and is not shown again. */
export function tellRecoveryKey(session: Session, key: string): void {
  session.terminal.line();
  session.terminal.line(
    'recovery key, to be kept where it can be found without this host; it is not shown again:',
  );
  session.terminal.line();
  session.terminal.line(`  ${key.match(/.{1,6}/g)!.join(' ')}`);
  session.terminal.line();
  session.terminal.line('To use it, write it into a file and name that with --key-file.');
}

async function encryption(
  session: Session,
  options: InitCliOptions,
): Promise<{ options: InitOptions; recoveryKey?: string }> {
  const keyOf = options.keyOf === undefined ? undefined : await keysAt(session, options.keyOf);
  const holders: { holder: Holder; label: string }[] = (await session.secrets.getNew(true)).map((holder) => ({
    holder,
    label: labelOf(holder),
  }));
  for (const recipient of options.recipient ?? [])
    holders.push({ holder: { kind: 'recipient', recipient }, label: '' });
  if (holders.length === 0) throw nobodyToOpen();
  const recoveryKey = options.recoveryKey ? newKeyText() : undefined;
  if (recoveryKey !== undefined)
    holders.push({ holder: parseKeyFile(recoveryKey, 'recovery key'), label: 'recovery key' });
  const encrypt: EncryptOptions = { holders, ...(keyOf && { keyOf }) };
  return { options: { encrypt, signal: session.signal }, ...(recoveryKey !== undefined && { recoveryKey }) };
}

async function keysAt(session: Session, location: string): Promise<NonNullable<EncryptOptions['keyOf']>> {
  const other = await session.repositoryAt(location, false);
  if (other.encryption) return other.encryption.keys;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `The repository at ${location} is not encrypted: it has no key.`,
    {
      hint: 'Leave --key-of out.',
    },
  );
}

function refuseWithoutEncrypt(
  session: Session,
  { encrypt, recipient, recoveryKey, keyOf }: InitCliOptions,
): void {
  if (encrypt || !(session.secrets.areNamed || recipient || recoveryKey || keyOf !== undefined)) return;
  throw new FitdocError('ARGUMENT_INVALID', 'Secrets and recipients are for an encrypted repository.', {
    hint: 'Add --encrypt, or leave them out.',
  });
}

/** The repository that a command is about, named behind it as people type it, or by the option. */
export function placeOf(command: string, place: string | undefined, options: StoreOptions): string {
  if (place === undefined) return storeLocation(options);
  if (options.store === undefined || options.store === place) return place;
  throw new FitdocError('ARGUMENT_INVALID', `Two places are named: ${place} and ${options.store}.`, {
    hint: `Write one of them: fitdoc ${command} ${place}`,
  });
}
