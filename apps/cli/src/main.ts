#!/usr/bin/env node
import { CommanderError } from 'commander';
import { createProgram } from './program.js';

try {
  await createProgram().parseAsync();
} catch (error) {
  // Commander has printed what is wrong, and the exit code is set.
  if (!(error instanceof CommanderError)) throw error;
}
