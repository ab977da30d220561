/**
 * Whether a suite that needs something of the host runs, and what its title says when it does not.
 * `REQUIRE_SUITES` (a comma-separated list, or `all`) turns a suite that cannot run into one that fails.
 */
export interface Gate {
  readonly skip: boolean;
  title(name: string): string;
}

export function gate(suite: string, missing: string | undefined): Gate {
  const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');
  const skip = missing !== undefined && !required.includes(suite) && !required.includes('all');
  if (skip) process.stderr.write(`not run: the ${suite} suite, for ${missing}\n`);
  return { skip, title: (name) => (skip ? `${name} (not run: ${missing})` : name) };
}
