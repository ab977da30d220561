/** The reader of the results ended first, as in `| head -1`: what SIGPIPE gives. */
const EXIT_READER_GONE = 141;
const EXIT_FAILED = 1;

/** A reader that ended early, or a terminal that was closed, is no failure that anybody needs to read of. */
const GONE = ['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED'];

/**
 * From now on no output that cannot be written ends the process: what a command prints is lost, and its exit code says
 * so; a daemon, which prints nothing there, lives on.
 */
export function outliveOutputs(): void {
  process.stdout.once('error', ({ code = '', message }: NodeJS.ErrnoException) => {
    const isGone = GONE.includes(code);
    process.exitCode = isGone ? EXIT_READER_GONE : EXIT_FAILED;
    if (!isGone) process.stderr.write(`fitdocd: the results cannot be written: ${message}\n`);
  });
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}
