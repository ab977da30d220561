import { FitdocError, isFitdocError, type Json } from '@fitdoc/interface';
import type { EndOfQmp } from '@fitdoc/qemu';
import { DESCRIBE, LIFE, RUNS } from './commands.js';
import { DomainSession } from './session.js';
import { Wire } from './wire.js';

// The process in which libvirt's C libraries are, for one connection to one domain: QMP at descriptor 3, as QEMU speaks
// it. Arguments: URI, domain.

const [uri = '', name = ''] = process.argv.slice(2);

interface Command {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, Json>>;
  readonly id?: number;
}

async function serve(wire: Wire): Promise<void> {
  const end = (reason: FitdocError): never => {
    const { code, message, hint, retryable, details } = reason;
    const last: EndOfQmp = { code, message, hint, retryable, details: details as Record<string, Json> };
    wire.send({ end: last });
    leave();
  };
  try {
    const session = await DomainSession.open(uri, name, { event: (event) => wire.send(event), end });
    const version = await session.execute({ execute: 'query-version' }, []);
    wire.send({ QMP: { version: version.return, capabilities: [] } });
    for await (const { line, descriptors } of wire.lines()) {
      const { execute, arguments: args = {}, id } = JSON.parse(line) as Command;
      void answer(session, execute, args, descriptors).then((reply) => {
        for (const descriptor of descriptors) wire.close(descriptor);
        if (id !== undefined) wire.send({ ...reply, id });
      });
    }
  } catch (error) {
    end(isFitdocError(error) ? error : unexpected(error));
  }
}

async function answer(
  session: DomainSession,
  command: string,
  args: Readonly<Record<string, Json>>,
  descriptors: readonly number[],
): Promise<object> {
  if (command === 'qmp_capabilities') return { return: {} };
  try {
    if (command === LIFE) return { return: session.life };
    if (command === RUNS) return { return: await session.isKnownToRun() };
    if (command === DESCRIBE) return { return: await session.record() };
    const { error, return: value = {} } = await session.execute(
      { execute: command, arguments: args },
      descriptors,
    );
    return error === undefined ? { return: value } : { error };
  } catch (error) {
    return { error: { class: 'GenericError', desc: error instanceof Error ? error.message : String(error) } };
  }
}

/** Node's own exit waits for the threads of calls that do not return, libvirt's event loop being one. */
function leave(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}

function unexpected(cause: unknown): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `libvirt's helper failed: ${String(cause)}`, {
    hint: 'This is a fault of fitdoc; please report it.',
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
await serve(await Wire.open(3));
leave();
