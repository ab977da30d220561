import { isFitdocError } from '@fitdoc/interface';
import { CommanderError } from 'commander';
import { createProgram } from './program.js';

/** A configuration that is wrong is the caller's to correct: as in the CLI. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Does what the arguments of the process say. What fails is told, and sets the exit code. */
export async function commandLine(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for is no failure, but for one to write it.
      if (error.exitCode !== 0) process.exitCode = EXIT_USAGE;
    } else if (isFitdocError(error)) {
      process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
      process.exitCode = error.code === 'CONFIG_INVALID' ? EXIT_USAGE : EXIT_FAILED;
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = EXIT_FAILED;
    }
  }
}
