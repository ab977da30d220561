import type {
  CaptureWay,
  FindMachinesOptions,
  FitdocError,
  FoundMachine,
  MachineRefusal,
} from '@fitdoc/interface';
import type { HostShell } from '../host/shell.js';
import { notRunning } from '../host/states.js';
import { listDomains, type Domain, type ListedDomain, type XenInfo } from '../host/xl.js';
import { capturePaths, directPath, type CapturePath, type DirectPath } from './attach.js';
import { refusalOf } from './refusals.js';

const ALL: readonly CapturePath[] = ['direct', 'remus', 'save'];

/** The guests of a Xen host and what each could be given. Errors: CAPABILITY_MISSING, ABORTED. */
export async function findMachines(
  shell: HostShell,
  openDirect?: (xen: XenInfo) => Promise<DirectPath | string>,
  { signal, wanted = () => true }: FindMachinesOptions = {},
): Promise<FoundMachine[]> {
  const { xen, domains: all } = await listDomains(shell, signal);
  const domains = all.filter((each) =>
    wanted('domain' in each ? { id: idOf(each.domain), name: each.domain.config.name } : { name: each.name }),
  );
  const opened = domains.length === 0 ? undefined : await openDirect?.(xen);
  return await Promise.all(
    domains.map(async (each) =>
      'domain' in each
        ? await foundMachine(each, xen, opened)
        : { name: each.name, ways: [], needs: [], refused: asRefusal(each.problem) },
    ),
  );
}

async function foundMachine(
  { domain, standing }: ListedDomain,
  xen: XenInfo,
  opened: DirectPath | string | undefined,
): Promise<FoundMachine> {
  const { config } = domain;
  const { direct, why } = directPath(domain, opened);
  const refusal = (await refusalOf(domain, direct)) ?? (standing && notRunning(standing));
  const possible = capturePaths(domain, xen, why === undefined);
  const ways = ALL.map((path): CaptureWay => {
    const refused = possible.includes(path)
      ? undefined
      : `${sentence(whyNot(path, domain.config.guestType, why))}.`;
    return { name: path, increments: path !== 'save', ...(refused !== undefined && { refused }) };
  });
  const writable = config.disks.filter((disk) => disk.writable).map(({ name }) => name);
  return {
    id: idOf(domain),
    ...{
      name: config.name,
      location: config.name,
      state: standing ?? 'running',
      memoryBytes: config.memoryKiB * 1024,
    },
    ...{ disks: config.disks, ways: ways.sort((a, b) => Number('refused' in a) - Number('refused' in b)) },
    needs:
      writable.length === 0
        ? []
        : [`Its disks (${writable.join(', ')}) are yours to keep consistent: Xen's are not stored.`],
    ...(writable.length > 0 && { externalDisks: true }),
    ...(refusal && { refused: asRefusal(refusal) }),
  };
}

function idOf({ config: { uuid, name } }: Domain): string {
  return uuid === '' ? name : uuid;
}

function whyNot(path: CapturePath, guestType: string, why: string | undefined): string {
  if (guestType === 'pv' && path === 'direct')
    return 'the dirty log of a PV guest is read by Xen’s own tools only';
  if (path === 'remus')
    return 'this Xen is built without shadow paging, and cannot log what a PV guest writes';
  return why ?? 'it is not there';
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function asRefusal({ code, message, hint }: FitdocError): MachineRefusal {
  return { code, message, ...(hint !== undefined && { hint }) };
}
