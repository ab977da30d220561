#!/usr/bin/env node
import { isFitdocError } from '@fitdoc/interface';
import { CommanderError } from 'commander';
import { createProgram } from './program.js';

/** A configuration that is wrong is the caller's to correct: as in the CLI. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else if (isFitdocError(error)) {
    process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
    process.exitCode = error.code === 'CONFIG_INVALID' ? EXIT_USAGE : EXIT_FAILED;
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
