/** Names, or parts of them, of the real guests that BENCH_GUESTS asks for; undefined for all of them. */
export function askedGuests(text = process.env['BENCH_GUESTS']): readonly string[] | undefined {
  const parts = text?.split(',').filter(Boolean) ?? [];
  return parts.length === 0 ? undefined : parts;
}

/** Those that are asked for. Throws where a part fits none: a misspelt one would leave all out unseen. */
export function selectGuests<T extends { readonly name: string }>(
  all: readonly T[],
  asked: readonly string[] | undefined,
): readonly T[] {
  const fits = (name: string, part: string): boolean => name.toLowerCase().includes(part.toLowerCase());
  const unknown = asked?.find((part) => !all.some(({ name }) => fits(name, part)));
  if (unknown !== undefined)
    throw new Error(
      `BENCH_GUESTS: no guest is called "${unknown}"; there are ${all.map(({ name }) => name).join('; ')}`,
    );
  return asked ? all.filter(({ name }) => asked.some((part) => fits(name, part))) : all;
}
