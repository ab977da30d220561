import type { Names } from '../names.js';

/** What every package of this repository has. `version` is that of the packages that it is stamped beside. */
export function commonFiles(names: Names, version: string): Record<string, string> {
  const manifest = {
    name: names.packageName,
    version: '0.0.0',
    description: `fitdoc ${names.kind}: ${names.typeName}`,
    license: 'Apache-2.0',
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20.19.0' },
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    files: ['dist', 'src', 'CHANGELOG.md'],
    publishConfig: { access: 'public' },
    scripts: { build: 'tsup', typecheck: 'tsgo -p .', lint: 'eslint .', test: 'vitest run' },
    dependencies: { '@fitdoc/interface': version },
    devDependencies: { '@fitdoc/compliance': version },
  };
  return {
    'package.json': JSON.stringify(manifest),
    'tsconfig.json': JSON.stringify({
      extends: '../../tsconfig.base.json',
      include: ['src', 'test', '*.ts'],
    }),
    'tsup.config.ts': `import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig(library());
`,
    'vitest.config.ts': `import { testConfig } from '../../vitest.base.js';

export default testConfig();
`,
    'test/readme.test.ts': `import { it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

it('the example in the README runs', async () => {
  await runReadmeExample(new URL('..', import.meta.url));
});
`,
  };
}

export function changeset(names: Names): string {
  return `---
'${names.packageName}': minor
---

A ${names.kind} package for ${names.typeName}.
`;
}
