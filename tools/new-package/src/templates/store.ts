import type { Names } from '../names.js';

export function storeFiles({ name, packageName, typeName }: Names): Record<string, string> {
  return {
    'src/index.ts': `export { storeFactory } from './factory.js';
`,
    'src/factory.ts': `import { FitdocError, throwIfAborted, type OpenStoreOptions, type Store, type StoreFactory } from '@fitdoc/interface';

/** Opens stores at \`${name}:LOCATION\`. */
export const storeFactory: StoreFactory = Object.freeze({
  specificationVersion: 'store-v1' as const,
  scheme: '${name}',
  async open(location: string, options: OpenStoreOptions = {}): Promise<Store> {
    throwIfAborted(options.signal);
    // To do: return a ${typeName}Store, a class of its own that implements Store.
    throw new FitdocError('CAPABILITY_MISSING', \`${packageName} cannot open \${location} yet.\`, {
      hint: 'Implement src/factory.ts until the suite in test/suite.test.ts passes.',
    });
  },
});
`,
    'test/suite.test.ts': `import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { storeSuite } from '@fitdoc/compliance/store';
import { describe, it } from 'vitest';
import { storeFactory } from '../src/index.js';

storeSuite(
  { describe, it },
  {
    name: '${name}',
    // A new, empty place for each test. Start a server here, or make a bucket, if that is what it takes.
    async open() {
      const directory = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-${name}-'));
      const dispose = () => rm(directory, { recursive: true, force: true });
      try {
        const store = await storeFactory.open(directory, { create: true });
        return { store, another: () => storeFactory.open(directory), dispose };
      } catch (error) {
        await dispose();
        throw error;
      }
    },
  },
);
`,
    'README.md': readme(
      packageName,
      `A fitdoc store that keeps checkpoints in ${typeName}.`,
      `import { storeFactory } from '${packageName}';

const store = await storeFactory.open('a-place', { create: true });
await store.put('notes/first.txt', new TextEncoder().encode('hello'));
const bytes = await store.get('notes/first.txt', { offset: 1, length: 3 });
if (new TextDecoder().decode(bytes) !== 'ell') throw new Error('not what was stored');
await store.close();`,
    ),
  };
}

export function readme(packageName: string, line: string, example: string): string {
  return `# ${packageName}

${line}

\`\`\`sh
npm install ${packageName}
\`\`\`

\`\`\`ts
${example}
\`\`\`

## Options

## Limits
`;
}
