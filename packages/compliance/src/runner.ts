/**
 * The part of a test runner that the suites need; vitest, mocha, jest and node:test all have it. Assertions
 * are node:assert's, so any runner that reports a thrown error will do.
 */
export interface Runner {
  describe(name: string, body: () => void): void;
  /** `timeoutMs` is advice: a runner that cannot take it may leave it out. */
  it(name: string, body: () => Promise<void>, timeoutMs?: number): void;
  beforeEach?(body: () => Promise<void>): void;
  afterEach?(body: () => Promise<void>): void;
}
