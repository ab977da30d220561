import { CommanderError } from 'commander';
import { createProgram } from './program.js';

/** Does what the arguments of the process say. */
export async function commandLine(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    // Commander has printed what is wrong, and the exit code is set.
    if (!(error instanceof CommanderError)) throw error;
  }
}
