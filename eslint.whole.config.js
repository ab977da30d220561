// For a run over everything: one program for all packages, where eslint.config.js has one for each.
import config from './eslint.config.js';

const parserOptions = {
  projectService: false,
  project: ['tsconfig.json', 'apps/daemon/dashboard/tsconfig.json'],
  tsconfigRootDir: import.meta.dirname,
};

export default [...config, { files: ['**/*.ts', '**/*.tsx'], languageOptions: { parserOptions } }];
