import { checkLayers } from '../../check-layers/src/check.js';
import { readPackages } from '../../check-layers/src/workspace.js';
import type { Check } from './check.js';
import { lines, runScript } from './command.js';

export const layers: Check = {
  name: 'layers',
  async run(root) {
    const packages = await readPackages(root);
    if (packages.length === 0) throw new Error('there are no packages');
    return { problems: checkLayers(packages), looked: `${packages.length} packages` };
  },
};

export const formatting: Check = {
  name: 'formatting',
  async run(root) {
    const { code, stdout, stderr } = await runScript(root, 'prettier/bin/prettier.cjs', [
      '--list-different',
      '--ignore-unknown',
      '.',
    ]);
    const problems =
      code === 0 ? [] : [...lines(stdout).map((file) => `${file}: npm run format`), ...lines(stderr)];
    return {
      problems: code !== 0 && problems.length === 0 ? [`prettier: exit code ${code}`] : problems,
      looked: 'all files',
    };
  },
};

/** Dependencies, exports and files that nothing uses, and uses of what is not declared. */
export const unused: Check = {
  name: 'knip',
  async run(root) {
    const { code, stdout, stderr } = await runScript(root, 'knip/bin/knip.js', [
      '--no-progress',
      '--no-config-hints',
    ]);
    const problems = code === 0 ? [] : [...lines(stdout), ...lines(stderr)];
    return {
      problems: code !== 0 && problems.length === 0 ? [`knip: exit code ${code}`] : problems,
      looked: 'all workspaces',
    };
  },
};
