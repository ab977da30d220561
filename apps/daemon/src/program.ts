import { Command } from 'commander';
import { doubts, loadConfiguration } from './config/load.js';
import { matches } from './config/matches.js';
import { run } from './run.js';
import { VERSION } from './version.js';

const DEFAULT_FILE = '/etc/fitdocd.toml';

const EPILOG = `
A configuration:

  [repositories.local]
  location = "/var/lib/fitdoc"        # or s3:BUCKET/PREFIX
  create = true

  [machines.web]
  location = "kvm:/run/web.qmp"       # or xen:DOMAIN, mock:NAME
  repository = "local"
  every = "1s"                        # or cron = "*/5 * * * *", or adaptive = { mtbf = "7d" }
  retention = { keep-last = 600, keep-hourly = 48 }

  [machines."libvirt:*"]              # all domains of libvirt, as they come and go; or "libvirt:web-*"
  except = ["scratch-*"]              # also: tag = "nightly"
  repository = "local"
  every = "5s"
  disks = "external"

  [standbys.db]                       # a machine of another host, kept ready here; POST /v1/standbys/db/promote starts it
  repository = "local"
  dir = "/var/lib/fitdoc/db"

Signals: SIGHUP reads the configuration again (one with faults is refused, the old one stays);
SIGTERM and SIGINT end the daemon and leave every guest running, a second one does not wait.
The API and the dashboard: curl --unix-socket /run/fitdocd.sock http://localhost/v1/machines

Exit codes: 0 ended by a signal, 1 failed, 2 the configuration has faults.`;

export function createProgram(): Command {
  const program = new Command('fitdocd')
    .description('keeps virtual machines protected: takes their checkpoints, prunes and verifies them')
    .version(VERSION)
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', EPILOG)
    .exitOverride();
  const file = ['-c, --config <file>', 'the configuration (env: FITDOCD_CONFIG)'] as const;
  const found = process.env['FITDOCD_CONFIG'] || DEFAULT_FILE;
  program
    .command('run', { isDefault: true })
    .description('protect what the configuration names (the default)')
    .option(...file, found)
    .action(({ config }: { readonly config: string }) => run(config));
  program
    .command('check')
    .description('look for faults in the configuration, say what its patterns match now, and touch nothing')
    .option(...file, found)
    .action(async ({ config }: { readonly config: string }) => {
      const loaded = await loadConfiguration(config);
      const { machines, repositories, standbys } = loaded;
      for (const line of [...(await doubts(config, loaded)), ...(await matches(config, loaded))])
        process.stdout.write(`${line}\n`);
      const counts = [machines, repositories, loaded.patterns, standbys].map(
        (each) => Object.keys(each).length,
      );
      const [machineCount, repositoryCount, patternCount, standbyCount] = counts as [
        number,
        number,
        number,
        number,
      ];
      const more = patternCount > 0 ? ` and ${patternCount} pattern(s)` : '';
      const kept = standbyCount > 0 ? `, ${standbyCount} standby(s)` : '';
      process.stdout.write(
        `${config}: ok, ${machineCount} machine(s)${more} in ${repositoryCount} repository(s)${kept}\n`,
      );
    });
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}
