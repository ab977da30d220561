import { abortError, FitdocError } from '@fitdoc/interface';
import { parsePassphrase, type Secret } from '@fitdoc/sealing';

const [CTRL_C, CTRL_D, BACKSPACE, DELETE, CTRL_U] = [3, 4, 8, 127, 21];

/** Whether there is somebody to ask. */
export function canPrompt(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks for a passphrase on the terminal, without showing it; twice, where it is a new one. */
export async function promptPassphrase(what: string, isNew: boolean, signal: AbortSignal): Promise<Secret> {
  const bytes = await ask(`${what}: `, signal);
  try {
    if (isNew) {
      const again = await ask('The same again: ', signal);
      const isSame = bytes.equals(again);
      again.fill(0);
      if (!isSame)
        throw new FitdocError('ARGUMENT_INVALID', 'The two passphrases differ.', { hint: 'Try again.' });
    }
    return parsePassphrase(bytes, 'that was typed');
  } finally {
    bytes.fill(0);
  }
}

function ask(question: string, signal: AbortSignal): Promise<Buffer> {
  const { stdin, stderr } = process;
  const typed = Buffer.alloc(4096);
  let length = 0;
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      stdin.off('data', onData);
      signal.removeEventListener('abort', onAbort);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const take = (): void => {
      const bytes = Buffer.from(typed.subarray(0, length));
      typed.fill(0);
      end(() => resolve(bytes));
    };
    const give = (error: Error): void => {
      typed.fill(0);
      end(() => reject(error));
    };
    const onAbort = (): void => give(abortError(signal));
    const onKeys = (data: Buffer): void => {
      for (const byte of data) {
        if (byte === 13 || byte === 10 || byte === CTRL_D) return take();
        if (byte === CTRL_C) return give(new FitdocError('ABORTED', 'Interrupted.'));
        if (byte === CTRL_U) length = 0;
        else if (byte === BACKSPACE || byte === DELETE) length = withoutLast(typed, length);
        else if (length < typed.length) typed[length++] = byte;
      }
    };
    const onData = (data: Buffer): void => {
      onKeys(data);
      data.fill(0);
    };
    // Who types as soon as he is asked is not to see it.
    stdin.setRawMode(true);
    stderr.write(question);
    stdin.on('data', onData);
    stdin.resume();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** A character is a byte that begins one and those that go on with it. */
function withoutLast(typed: Buffer, length: number): number {
  let left = length;
  while (left > 0 && ((typed[left - 1] ?? 0) & 0xc0) === 0x80) left--;
  return Math.max(0, left - 1);
}
