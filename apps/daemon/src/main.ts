#!/usr/bin/env node
import { outliveOutputs } from './outputs.js';
import { VERSION } from './version.js';

// First of all, so that help and usage errors may end in a closed pipe as well.
outliveOutputs();

const [first, ...more] = process.argv.slice(2);
// Most of a start is loading the program.
if (more.length === 0 && (first === '--version' || first === '-V')) process.stdout.write(`${VERSION}\n`);
else await (await import('./command-line.js')).commandLine();
