import { defineConfig, type ViteUserConfig } from 'vitest/config';

type TestOptions = NonNullable<ViteUserConfig['test']>;

/** Shared test settings; a package passes what differs. Reports land where the test runner counts them. */
export function testConfig(overrides: TestOptions = {}): ViteUserConfig {
  return defineConfig({
    test: {
      include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
      reporters: ['default', ['json', { outputFile: '.reports/vitest.json' }]],
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: 300_000,
      hookTimeout: 300_000,
      ...overrides,
    },
  });
}
