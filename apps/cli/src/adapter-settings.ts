import { FitdocError } from '@fitdoc/interface';

export const SET_HELP = 'settings of the adapter, as its README lists them: mode=precopy';

/** `key=value` pairs as an adapter takes them; numbers and booleans become what they look like. */
export function adapterSettings(pairs: readonly string[] = []): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, key, text] = /^([A-Za-z][\w-]*)=(.*)$/s.exec(pair) ?? [];
      if (key === undefined || text === undefined) {
        throw new FitdocError('ARGUMENT_INVALID', `--set takes key=value, not ${JSON.stringify(pair)}.`);
      }
      return [key, valueOf(text)];
    }),
  );
}

function valueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
