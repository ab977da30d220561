import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordingPath } from '@fitdoc/adapters/mock';
import type { Command } from 'commander';
import { tellDemo } from '../demo/story.js';
import { EXIT } from '../exit-codes.js';
import { action, commonOptions, type CommonOptions } from '../session.js';

interface DemoCliOptions extends CommonOptions {
  readonly recording?: string;
  readonly keep?: boolean;
}

export function demoCommand(program: Command): void {
  commonOptions(
    program
      .command('demo')
      .description('show the main job on the recorded memory of a real guest; needs nothing, leaves nothing')
      .option('--recording <file>', 'another recording of guest memory')
      .option('--keep', 'keep the repository that it makes'),
  ).action(
    action<[], DemoCliOptions>(async (session, options) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-demo-'));
      try {
        const figures = await tellDemo(session.terminal, {
          recording: options.recording ?? recordingPath(),
          folder: path.join(folder, 'checkpoints'),
          signal: session.signal,
        });
        session.terminal.data({ message_type: 'summary', ...figures });
        if (options.keep) session.terminal.note(`The repository stays in ${folder}.`);
        return figures.restoredEqual && figures.damageFound ? EXIT.done : EXIT.failed;
      } finally {
        if (!options.keep) await rm(folder, { recursive: true, force: true });
      }
    }),
  );
}
