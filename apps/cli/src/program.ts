import { Command } from 'commander';
import { compactCommand } from './commands/compact.js';
import { copyCommand } from './commands/copy.js';
import { deleteCommand } from './commands/delete.js';
import { demoCommand } from './commands/demo.js';
import { diffCommand } from './commands/diff.js';
import { exportCommand } from './commands/export.js';
import { forkCommand } from './commands/fork.js';
import { infoCommand } from './commands/info.js';
import { initCommand } from './commands/init.js';
import { keyCommand } from './commands/key.js';
import { listCommand } from './commands/list.js';
import { machinesCommand } from './commands/machines.js';
import { pruneCommand } from './commands/prune.js';
import { repairCommand } from './commands/repair.js';
import { releaseCommand } from './commands/release.js';
import { restoreCommand } from './commands/restore.js';
import { saveCommand } from './commands/save.js';
import { standbyCommand } from './commands/standby.js';
import { serveCommand } from './commands/serve.js';
import { statusCommand } from './commands/status.js';
import { tagCommand } from './commands/tag.js';
import { verifyCommand } from './commands/verify.js';
import { watchCommand } from './commands/watch.js';
import { completionCommand } from './completion.js';
import { EXIT } from './exit-codes.js';
import { VERSION } from './version.js';

const EPILOG = `
Checkpoints are named by id (4 or more digits), tag, "latest", "latest~2", or a time.
Machines: kvm:/run/vm.qmp  xen:DOMAIN  xen+ssh://HOST/DOMAIN  mock:NAME
Stores:   a directory, fs:DIRECTORY, s3:BUCKET/PREFIX, memory:

Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 10 no repository, 11 locked,
12 encrypted and not opened,
20 verification failed, 21 incompatible, 22 guest left paused, 130 interrupted,
141 the reader of the output ended first (| head -1).

First steps:
  fitdoc machines
  fitdoc init ./ckpts
  fitdoc watch kvm:/run/vm.qmp --store ./ckpts --every 1s
  fitdoc list --store ./ckpts
  fitdoc restore latest~3 --store ./ckpts --to kvm:/run/new.qmp`;

export function createProgram(): Command {
  const program = new Command('fitdoc')
    .description('checkpoints of running virtual machines: often, cheaply, and back to any of them')
    .version(VERSION)
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', EPILOG)
    .configureOutput({ outputError: (text, write) => write(text + wherever(text)) })
    .exitOverride((error) => {
      process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
      throw error;
    });
  machinesCommand(program);
  initCommand(program);
  keyCommand(program);
  saveCommand(program);
  watchCommand(program);
  listCommand(program);
  infoCommand(program);
  diffCommand(program);
  verifyCommand(program);
  restoreCommand(program);
  forkCommand(program);
  exportCommand(program);
  standbyCommand(program);
  serveCommand(program);
  compactCommand(program);
  copyCommand(program);
  deleteCommand(program);
  pruneCommand(program);
  repairCommand(program);
  tagCommand(program);
  statusCommand(program);
  releaseCommand(program);
  demoCommand(program);
  completionCommand(program);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/** Repositories are typed as arguments, and options before the command: says where they belong. */
function wherever(error: string): string {
  if (error.includes('too many arguments'))
    return '(the repository is named with --store DIRECTORY, or by FITDOC_STORE)\n';
  if (/unknown option '--(store|json|quiet)/.test(error))
    return '(options come behind the command: fitdoc list --store DIRECTORY)\n';
  return '';
}
