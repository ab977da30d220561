/** A QMP socket that a QEMU listens on. */
export interface QmpSocket {
  /** As QEMU was given it; absent where it was given a descriptor. */
  readonly path?: string;
  /** Name of its character device, where it has one. */
  readonly chardev?: string;
}

/** What a QEMU's command line says of it, as far as it matters here. */
export interface QemuCommandLine {
  readonly name?: string;
  readonly uuid?: string;
  /** Bytes. */
  readonly memoryBytes?: number;
  readonly sockets: readonly QmpSocket[];
  /** It waits for a machine to come in. */
  readonly incoming: boolean;
  /** It is the device model of this domain of Xen's. */
  readonly xenDomain?: string;
}

/** QEMU's `key=value` lists; a doubled comma is one. A first word without a key gets `implied`. */
function keyed(text: string, implied: string): Map<string, string> {
  const found = new Map<string, string>();
  const parts = text.replaceAll(',,', '\0').split(',');
  parts.forEach((part, index) => {
    const [key = '', value] = part.replaceAll('\0', ',').split(/=(.*)/s);
    if (value !== undefined) found.set(key, value);
    else found.set(index === 0 ? implied : key, index === 0 ? key : 'on');
  });
  return found;
}

const UNITS = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;

/** QEMU's sizes: `512`, `64k`, `1.5G`; without a unit MiB. */
function sizeOf(text: string | undefined): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)([bkmgt])?/i.exec(text ?? '');
  if (!parts) return undefined;
  const unit = (parts[2] ?? 'm').toLowerCase() as keyof typeof UNITS;
  return Math.round(Number(parts[1]) * UNITS[unit]);
}

/** The path in `unix:PATH,server=on`, of `-qmp`. */
function unixPath(text: string): string | undefined {
  if (!text.startsWith('unix:')) return undefined;
  return keyed(text.slice('unix:'.length), 'path').get('path');
}

/** Reads the arguments of a QEMU, its own name first. Unknown ones are passed over. */
export function readCommandLine(args: readonly string[]): QemuCommandLine {
  const values = (option: string): string[] =>
    args.flatMap((arg, index) =>
      arg === `-${option}` || arg === `--${option}` ? [args[index + 1] ?? ''] : [],
    );
  const name = keyed(values('name').at(-1) ?? '', 'guest').get('guest');
  const uuid = values('uuid').at(-1);
  const memoryBytes = sizeOf(keyed(values('m').at(-1) ?? '', 'size').get('size'));
  const xenDomain = values('xen-domid').at(-1);
  return {
    ...(name && { name }),
    ...(uuid !== undefined && { uuid: uuid.toLowerCase() }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(xenDomain !== undefined && { xenDomain }),
    sockets: [
      ...[...values('qmp'), ...values('qmp-pretty')].flatMap((text) => {
        const path = unixPath(text);
        return path === undefined ? [] : [{ path }];
      }),
      ...monitors(values('mon'), values('chardev')),
    ],
    incoming: values('incoming').length > 0,
  };
}

/** Listening sockets that `-mon mode=control` puts QMP on. */
function monitors(mons: readonly string[], chardevs: readonly string[]): QmpSocket[] {
  const devices = new Map(
    chardevs.map((text) => {
      const device = keyed(text, 'backend');
      return [device.get('id'), device] as const;
    }),
  );
  return mons.flatMap((text) => {
    const mon = keyed(text, 'chardev');
    const chardev = mon.get('chardev');
    const device = devices.get(chardev);
    const listens = device?.get('backend') === 'socket' && !['off', undefined].includes(device.get('server'));
    if (mon.get('mode') !== 'control' || !listens) return [];
    const path = device.get('path');
    const byDescriptor = device.has('fd');
    if (path === undefined && !byDescriptor) return [];
    return [{ ...(path !== undefined && { path }), ...(chardev !== undefined && { chardev }) }];
  });
}
