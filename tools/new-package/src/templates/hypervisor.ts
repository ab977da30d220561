import type { Names } from '../names.js';
import { readme } from './store.js';

export function hypervisorFiles({ name, packageName, typeName }: Names): Record<string, string> {
  return {
    'src/index.ts': `export { hypervisor } from './hypervisor.js';
`,
    'src/hypervisor.ts': `import {
  FitdocError,
  throwIfAborted,
  type AttachOptions,
  type Hypervisor,
  type Machine,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';

/** Attaches to machines of ${typeName} at \`${name}:LOCATION\`, and restores them. */
export const hypervisor: Hypervisor = Object.freeze({
  specificationVersion: 'hypervisor-v1' as const,
  scheme: '${name}',
  supports: Object.freeze({ attach: true, restore: true }),
  async attach(location: string, options: AttachOptions = {}): Promise<Machine> {
    throwIfAborted(options.signal);
    // To do: return a ${typeName}Machine, a class of its own that implements Machine.
    throw missing(\`attach to \${location}\`);
  },
  async restore(
    location: string,
    source: RestoreSource,
    options: RestoreOptions = {},
  ): Promise<RestoreReport> {
    throwIfAborted(options.signal);
    throw missing(\`restore \${source.info.name} to \${location}\`);
  },
});

function missing(what: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', \`${packageName} cannot \${what} yet.\`, {
    hint: 'Implement src/hypervisor.ts until the suite in test/suite.test.ts passes.',
  });
}
`,
    'test/suite.test.ts': `import { hypervisorSuite } from '@fitdoc/compliance/hypervisor';
import { describe, it } from 'vitest';
import { hypervisor } from '../src/index.js';

hypervisorSuite(
  { describe, it },
  {
    name: '${name}',
    absentLocation: 'nowhere',
    // A running guest that nobody is attached to, for each test. Add \`mutate\` and \`readMemory\` when its memory
    // can be looked at from outside, \`kill\` and \`restoreTarget\` for the tests of failures and restores.
    async open() {
      return {
        hypervisor,
        location: 'a-guest',
        isRunning: () => Promise.reject(new Error('ask ${typeName} itself whether the guest runs')),
      };
    },
  },
);
`,
    'README.md': readme(
      packageName,
      `A fitdoc adapter that checkpoints and restores guests of ${typeName}.`,
      `import { hypervisor } from '${packageName}';

const machine = await hypervisor.attach('a-guest');
console.log(machine.info.name, machine.info.regions.length, machine.supports.increments);
await machine.detach();`,
    ),
  };
}
