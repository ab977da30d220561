import {
  FitdocError,
  isFitdocError,
  type CaptureWay,
  type DiskInfo,
  type FindMachinesOptions,
  type FoundMachine,
} from '@fitdoc/interface';
import { parseDomainLocation } from '../connection/location.js';
import { PAUSED_BY_USER } from '../connection/states.js';
import { notQemu, notStarted } from '../helper/endings.js';
import { ask } from '../host/ask.js';
import type { ListedDomain } from '../host/questions.js';
import { DomainXml } from '../restore/domain-xml.js';

/** The domains of a libvirt, by default of the one that `libvirt:DOMAIN` means, as it tells of them: no QEMU is asked. */
export async function findMachines({ signal, place, wanted = () => true }: FindMachinesOptions = {}): Promise<
  FoundMachine[]
> {
  const { uri } = parseDomainLocation(place === undefined ? 'any' : `${place}#any`);
  const domains = await ask(uri, 'domains', null, signal).catch((error: unknown) => {
    throw absent(error);
  });
  return domains
    .filter(({ uuid, name }) => wanted({ id: uuid, name }))
    .map((domain) => foundMachine(domain, uri, place));
}

/** That no libvirt is there is no failure of a list. */
function absent(error: unknown): unknown {
  if (!isFitdocError(error, 'MACHINE_NOT_FOUND') || error.details['denied'] === true) return error;
  const { message, hint, details } = error;
  return new FitdocError('CAPABILITY_MISSING', message, { cause: error, details, ...(hint && { hint }) });
}

function foundMachine(domain: ListedDomain, uri: string, place: string | undefined): FoundMachine {
  const xml = new DomainXml(domain.xml);
  const { name, uuid, state } = domain;
  const disks = xml.disks.map(({ target, source, own }): DiskInfo => ({
    name: target,
    source,
    writable: own,
  }));
  const refused = refusalOf(domain, xml);
  return {
    ...{ id: uuid, name, state, disks, tags: xml.tags, ways: waysOf(xml), needs: needsOf(xml) },
    ...locationsOf(domain, uri, place),
    ...(xml.memoryBytes !== undefined && { memoryBytes: xml.memoryBytes }),
    ...(refused && {
      refused: { code: refused.code, message: refused.message, ...(refused.hint && { hint: refused.hint }) },
    }),
  };
}

/** By name and UUID, without its URI where that goes without saying. */
function locationsOf(
  { name, uuid }: ListedDomain,
  uri: string,
  place: string | undefined,
): Pick<FoundMachine, 'location' | 'locations'> {
  const [named, lasting] = [`${uri}#${name}`, `${uri}#${uuid}`];
  if (uri !== parseDomainLocation('any').uri) return { location: named, locations: [lasting] };
  return place === undefined
    ? { location: name, locations: [uuid, named, lasting] }
    : { location: named, locations: [lasting, name, uuid] };
}

function refusalOf({ name, state, reason, active }: ListedDomain, xml: DomainXml): FitdocError | undefined {
  if (!['kvm', 'qemu'].includes(xml.virtType)) return notQemu(name, xml.virtType);
  if (!active) return notStarted(name, state as Parameters<typeof notStarted>[1]);
  // In a pause of a checkpoint's it is paused as well, for no reason of an operator's.
  if (state === 'paused' && reason === PAUSED_BY_USER)
    return new FitdocError('MACHINE_NOT_RUNNING', `The domain ${name} was paused by its operator.`, {
      hint: `It is left so; "virsh resume ${name}", and checkpoints go on.`,
    });
  return undefined;
}

function waysOf(xml: DomainXml): CaptureWay[] {
  const refused = xml.virtType === 'kvm' ? undefined : 'The guest is emulated.';
  return [
    { name: 'colo', increments: true, ...(refused !== undefined && { refused }) },
    { name: 'precopy', increments: false },
  ];
}

function needsOf(xml: DomainXml): string[] {
  return xml.hostDevices > 0 ? ['It has devices of the host, which may keep it from being captured.'] : [];
}
