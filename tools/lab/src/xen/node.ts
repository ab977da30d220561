import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { XenHost } from './host.js';

/** Brings this very Node.js into dom0, as /run/node. */
export async function shipNode(host: XenHost): Promise<void> {
  if ((await host.run('test -x /run/node')).code === 0) return;
  copyFileSync(realpathSync(process.execPath), join(host.shared, 'node'));
  await host.must(
    'cp /host/node /run/node.new && chmod 755 /run/node.new && mv /run/node.new /run/node && rm /host/node',
  );
}

function dependenciesOf(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  return Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
}

/**
 * Copies built packages and what they depend on into dom0's /host/app/node_modules, as an installation would
 * have them. Requires that they are built.
 */
export function shipPackages(host: XenHost, repository: string, names: readonly string[]): void {
  const target = join(host.shared, 'app/node_modules');
  const waiting = [...names];
  const done = new Set<string>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (done.has(name)) continue;
    done.add(name);
    const link = resolve(repository, 'node_modules', name);
    // A platform's prebuilt part that is not installed here is not needed there either.
    if (!existsSync(link)) continue;
    const source = realpathSync(link);
    mkdirSync(join(target, name), { recursive: true });
    const own = ['src', 'test', 'assembly', '.turbo', '.reports'];
    const inner = ['node_modules', ...(name.startsWith('@fitdoc/') ? own : ['doc', 'vendor'])];
    cpSync(source, join(target, name), {
      recursive: true,
      dereference: true,
      filter: (path) => !inner.some((each) => path === join(source, each)) && !path.endsWith('.map'),
    });
    waiting.push(...dependenciesOf(source));
  }
}
