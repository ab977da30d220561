/** An option of QEMU's command line. */
export interface Argument {
  /** Without its dash. Empty: a disk's image, named without an option. */
  readonly name: string;
  readonly value?: string;
}

/** Options that take no value, of QEMU 5 to 11. All others take the next word, whatever it begins with. */
const ALONE = new Set(
  (
    'S alt-grab ctrl-grab curses daemonize enable-fips enable-kvm enable-sync-profile full-screen h help ' +
    'mem-prealloc no-acpi no-fd-bootchk no-frame no-hpet no-kvm no-quit no-reboot no-shutdown no-user-config ' +
    'nodefaults nodefconfig nographic only-migratable old-param portrait preconfig s sdl semihosting singlestep ' +
    'snapshot usb version win2k-hack xen-attach xen-domid-restrict'
  ).split(' '),
);

/** Takes the words behind the program's name apart. */
export function parseArguments(words: readonly string[]): Argument[] {
  const found: Argument[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const name = word.replace(/^--?/, '');
    if (name === word) found.push({ name: '', value: word });
    else if (ALONE.has(name) || at + 1 === words.length) found.push({ name });
    else found.push({ name, value: words[++at]! });
  }
  return found;
}

export function wordsOf(list: readonly Argument[]): string[] {
  return list.flatMap(({ name, value }) => [
    ...(name === '' ? [] : [`-${name}`]),
    ...(value === undefined ? [] : [value]),
  ]);
}

const QEMU = /(^|\/)(qemu-system-[\w-]+|qemu-kvm|kvm)$/;
/** Words that may stand before QEMU's own name: a loader and its options. */
const MOST_BEFORE = 8;

/** Splits a process's words into what starts QEMU and QEMU's options. */
export function splitProgram(words: readonly string[]): {
  readonly program: readonly string[];
  readonly options: readonly string[];
} {
  const last = words.slice(0, MOST_BEFORE).findLastIndex((word) => QEMU.test(word));
  const end = Math.max(0, last) + 1;
  return { program: words.slice(0, end), options: words.slice(end) };
}
