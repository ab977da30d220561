import { FitdocError } from '@fitdoc/interface';

/** What stands in a recorded command in place of a secret. */
export const MASK = '***';

const WORD = '(?:pass(?:word|wd|phrase)?|passwd|secret|token|credentials?|api-?key|private-?key)';
/** `password=…`, `"password":"…"`, up to what ends a value in either form, or a word of a kernel's command line. */
const NAMED = new RegExp(`((?:^|[,.\\s"'])[\\w.-]*${WORD}"?\\s*[=:]\\s*"?)((?:,,|[^,\\s"}])+)`, 'gi');
/** Properties that only name a secret's object, or say that there is one. */
const NO_SECRET = /(?:-secret|\.secret|^secret|tls-creds|key-secret)"?\s*[=:]\s*"?$/i;
const IN_URL = /(\w+:\/\/[^/@:\s,]*:)[^/@\s,]+@/g;

/** Leaves secrets out of a command's words: QEMU's own, those in addresses, and what is named as one. */
export function withoutSecrets(words: readonly string[]): string[] {
  return words.map((word, index) => masked(word, (words[index - 1] ?? '').replace(/^--?/, '')));
}

function masked(word: string, option: string): string {
  let text = word.replace(IN_URL, `$1${MASK}@`).replace(NAMED, (all, before: string, value: string) => {
    const named = before.replace(/^[,.\s"']/, '');
    const isFlag = /^(on|off|true|false|yes|no)$/i.test(value);
    return isFlag || NO_SECRET.test(named) ? all : `${before}${MASK}`;
  });
  // What a guest is told by its firmware, cloud-init and systemd fill with keys and passwords; a secret's own data.
  if (option === 'fw_cfg') text = text.replace(/(string=)(?:,,|[^,])+/g, `$1${MASK}`);
  if (option === 'smbios') text = text.replace(/(value=)(?:,,|[^,])+/g, `$1${MASK}`);
  if (option === 'object' && /secret/.test(text))
    text = text.replace(/(data=)(?:,,|[^,])+/g, `$1${MASK}`).replace(/("data"\s*:\s*")[^"]+/g, `$1${MASK}`);
  return text;
}

/** ARGUMENT_INVALID for a command that still lacks a secret. */
export function assertWhole(words: readonly string[]): void {
  const lacking = words.flatMap((word, index) =>
    word.includes(MASK) ? [`${words[index - 1] ?? ''} ${word}`.trim()] : [],
  );
  if (lacking.length === 0) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `The command was recorded without its secrets: ${lacking.join('; ')}.`,
    { hint: 'Give these options whole, behind --.', details: { lacking } },
  );
}
