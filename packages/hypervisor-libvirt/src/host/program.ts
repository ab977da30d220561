import { text } from 'node:stream/consumers';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { LibvirtConnection } from '../connection/connection.js';
import type { Handle } from '../connection/binding.js';
import type { Domain } from '../connection/domain.js';
import type { ListedDomain, PresentDomain, Questions, TargetAnswer, TargetQuestion } from './questions.js';

// The process in which libvirt's C libraries are for one question, which comes on standard input; its answer goes to
// standard output.

interface Asked {
  readonly uri: string;
  readonly kind: keyof Questions;
  readonly asked: unknown;
}

async function answer({ uri, kind, asked }: Asked): Promise<unknown> {
  const connection = await LibvirtConnection.open(uri);
  if (kind === 'domains') return listed(connection);
  if (kind === 'target') return target(connection, asked as TargetQuestion);
  const { path, paused } = asked as Questions['restore']['asked'];
  await connection.restore(path, { paused });
  return null;
}

async function listed(connection: LibvirtConnection): Promise<ListedDomain[]> {
  const found: ListedDomain[] = [];
  for (const domain of await connection.domains()) {
    // One that ends, or is undefined, meanwhile is not there.
    const each = await describe(domain).catch(() => undefined);
    if (each !== undefined) found.push(each);
  }
  return found;
}

async function describe(domain: Domain): Promise<ListedDomain> {
  const { name, uuid, id } = domain;
  const { state, reason } = await domain.state();
  return {
    name,
    uuid,
    state,
    reason,
    active: id !== undefined,
    xml: await domain.xml({ migratable: false }),
  };
}

async function target(connection: LibvirtConnection, asked: TargetQuestion): Promise<TargetAnswer> {
  const { emulator, architecture, machine, virtType } = asked;
  const calls = 'virConnectGetDomainCapabilities';
  const unfit = await connection
    .call('such a machine', calls, connection.handle, emulator, architecture, machine, virtType, 0)
    .then(() => null, saidBy);
  const networks = await Promise.all(
    asked.networks.map(async (name) => [name, await networkState(connection, name)]),
  );
  const secrets = await Promise.all(
    asked.secrets.map(
      async (uuid) => [uuid, await has(connection, 'virSecretLookupByUUIDString', uuid)] as const,
    ),
  );
  const domains = await connection.domains();
  return {
    named: await present(domains.find(({ name }) => name === asked.name)),
    same: await present(domains.find(({ uuid }) => uuid === asked.uuid)),
    unfit,
    missingNetworks: networks.flatMap(([name, state]) => (state === 'missing' ? name! : [])),
    idleNetworks: networks.flatMap(([name, state]) => (state === 'idle' ? name! : [])),
    missingSecrets: secrets.flatMap(([uuid, there]) => (there ? [] : uuid)),
    versions: await connection.versions(),
  };
}

async function present(domain: Domain | undefined): Promise<PresentDomain | null> {
  if (domain === undefined) return null;
  const { name, uuid, id } = domain;
  return { name, uuid, active: id !== undefined, persistent: await domain.isPersistent() };
}

async function networkState(
  connection: LibvirtConnection,
  name: string,
): Promise<'missing' | 'idle' | 'active'> {
  const network = await connection
    .call<Handle>('the network', 'virNetworkLookupByName', connection.handle, name)
    .catch(() => undefined);
  if (network === undefined) return 'missing';
  return (await connection.call<number>('the network', 'virNetworkIsActive', network)) === 1
    ? 'active'
    : 'idle';
}

async function has(connection: LibvirtConnection, lookup: string, name: string): Promise<boolean> {
  return connection.call('it', lookup, connection.handle, name).then(
    () => true,
    () => false,
  );
}

/** libvirt's own words in a refusal. */
function saidBy(error: unknown): string {
  if (!isFitdocError(error, 'PROTOCOL_ERROR')) throw error;
  const { description } = error.details;
  return typeof description === 'string' ? description : error.message;
}

function failureOf(error: unknown): object {
  const { code, message, hint, retryable, details } = isFitdocError(error)
    ? error
    : new FitdocError('PROTOCOL_ERROR', `libvirt could not be asked: ${String(error)}`);
  return { code, message, hint, retryable, details };
}

const reply = await answer(JSON.parse(await text(process.stdin)) as Asked).then(
  (answered) => ({ answer: answered }),
  (error: unknown) => ({ failure: failureOf(error) }),
);
// Node's own exit waits for the threads of calls that do not return, libvirt's event loop being one.
process.stdout.write(JSON.stringify(reply), () => process.kill(process.pid, 'SIGKILL'));
