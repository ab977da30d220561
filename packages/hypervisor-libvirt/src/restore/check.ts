import { access } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';
import { ask } from '../host/ask.js';
import type { PresentDomain, TargetAnswer } from '../host/questions.js';
import type { DomainXml } from './domain-xml.js';

/** A domain to be brought to life. */
export interface Planned {
  readonly uri: string;
  readonly name: string;
  readonly uuid: string;
  readonly clone: boolean;
  readonly xml: DomainXml;
}

/**
 * Sees that libvirt can start such a domain, before anything is read or touched; gives what people should know.
 * Errors: MACHINE_BUSY (it runs), MACHINE_CONFLICT (name or UUID is another's), MACHINE_INCOMPATIBLE naming all that
 * differs or is missing; those of `ask`.
 */
export async function checkTarget(planned: Planned, signal?: AbortSignal): Promise<string[]> {
  const { uri, name, uuid, xml } = planned;
  const { emulator, architecture, machine, virtType, networks, secrets } = xml;
  const question = { name, uuid, emulator, architecture, machine, virtType, networks, secrets };
  const found = await ask(uri, 'target', question, signal);
  refuseTaken(planned, found.named, found.same);
  const missing = [...differences(found, xml), ...(await missingFiles(uri, xml))];
  if (missing.length > 0)
    throw new FitdocError(
      'MACHINE_INCOMPATIBLE',
      `The domain ${name} cannot be started there: ${missing.join('; ')}.`,
      {
        hint: 'Put there what is missing (disks of a clone: --set disk-TARGET=FILE), or restore on a host like its own.',
        details: { differences: missing },
      },
    );
  return found.same?.persistent === true
    ? []
    : [`${name} is a transient domain: "virsh dumpxml ${name}" and "virsh define" keep it beyond its end.`];
}

function refuseTaken(
  { name, uuid, clone }: Planned,
  named: PresentDomain | null,
  same: PresentDomain | null,
): void {
  if (named?.active === true || (same?.active === true && !clone))
    throw new FitdocError('MACHINE_BUSY', `The domain ${named?.name ?? name} runs.`, {
      hint: `End it ("virsh destroy ${named?.name ?? name}"), or restore under another name, as a clone: libvirt:OTHERNAME.`,
    });
  if (named !== null && named.uuid !== uuid)
    throw new FitdocError(
      'MACHINE_CONFLICT',
      `libvirt knows another domain ${name}, with the UUID ${named.uuid}.`,
      {
        hint: `Restore under another name, or undefine that domain, or have the clone take its UUID: --set uuid=${named.uuid}.`,
      },
    );
  if (same !== null && same.name !== name)
    throw new FitdocError('MACHINE_CONFLICT', `libvirt knows the UUID ${uuid} as that of ${same.name}.`, {
      hint: `Restore to libvirt:${same.name}, or leave the UUID to fitdoc.`,
    });
}

function differences(
  { unfit, missingNetworks, idleNetworks, missingSecrets }: TargetAnswer,
  xml: DomainXml,
): string[] {
  return [
    ...(unfit === null ? [] : [`a machine ${xml.machine} of ${xml.emulator} (${unfit})`]),
    ...missingNetworks.map((name) => `there is no network ${name}`),
    ...idleNetworks.map((name) => `the network ${name} is not started`),
    ...missingSecrets.map((uuid) => `there is no secret ${uuid}`),
    ...(xml.hostDevices > 0 ? ['it was given devices of its host, whose state no checkpoint has'] : []),
  ];
}

/** Of another host's files nothing can be said here. */
async function missingFiles(uri: string, xml: DomainXml): Promise<string[]> {
  if (!/^[a-z]+(\+unix)?:\/\/\//i.test(uri)) return [];
  const missing: string[] = [];
  for (const file of xml.files) {
    const gone = await access(file).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ENOENT' || error.code === 'ENOTDIR',
    );
    if (gone) missing.push(`${file} is missing`);
  }
  return missing;
}
