import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { config } from './streams.js';

/**
 * An `xl` that plays recorded streams: it does what the real one was seen to do with its receiver, so the
 * session's own machinery is tested where there is no Xen. The tests on real Xen say whether it tells the truth.
 */
const SCRIPT = `#!/bin/sh
cd "$FAKE_XL" || exit 9
now() { echo "$1" >state.new && mv state.new state; }
case $1 in
info)
  echo "xen_major              : 4"
  echo "xen_minor              : 17"
  echo "xen_version            : 4.17.7"
  echo "virt_caps              : pv hvm hap" ;;
list)
  [ -e unreachable ] && exit 1
  [ -e gone ] && [ -n "$2" ] && exit 1
  if [ "$2" = -l ]; then
    case $3 in
      '' | guest) cat list.json ;;
      Domain-0) cat host.json ;;
      # What libxl has no configuration of is left out.
      guest-dm | 2) echo '[]' ;;
      *) exit 1 ;;
    esac
  else
    echo "Name                                        ID   Mem VCPUs      State   Time(s)"
    is=$(cat state)
    [ -e crashed ] && is=---sc-
    echo "guest                                        1    80     1     $is       1.0"
  fi ;;
domid)
  case $2 in
    guest) echo 1 ;;
    guest-dm) echo 2 ;;
    *) exit 1 ;;
  esac ;;
domname) [ "$2" = 2 ] && echo guest-dm || exit 1 ;;
remus)
  echo remus >>calls
  rm -f pipe && mkfifo pipe
  sh -c "exec $8 fitdoc xl migrate-receive -r " <pipe >answer &
  receiver=$!
  exec 9>pipe
  for part in 0 1 2 3 4 5; do
    [ -e "part$part" ] || break
    now "---ss-"
    while [ -e "stuck$part" ] && kill -0 $receiver 2>/dev/null; do sleep 0.1; done
    cat "part$part" >&9 2>/dev/null || break
    now "-b----"
    sleep 0.2
  done
  while [ ! -e then-die ] && kill -0 $receiver 2>/dev/null; do sleep 0.1; done
  now "-b----"
  echo "Remus: Backup failed? resuming domain at primary." >&2
  exit 1 ;;
save) echo save >>calls; cat part0 >"$4" ;;
restore) cat "$2" >restored ;;
esac
`;

export class FakeXl {
  readonly folder = mkdtempSync(join(tmpdir(), 'fitdoc-xl-'));
  readonly #path = process.env.PATH;

  constructor(type: 'pv' | 'pvh', parts: readonly Uint8Array[], memoryKiB: number, disks: object[] = []) {
    mkdirSync(join(this.folder, 'bin'));
    writeFileSync(join(this.folder, 'bin/xl'), SCRIPT, { mode: 0o755 });
    const settings = { ...(JSON.parse(config(type, memoryKiB)) as object), disks };
    this.write('list.json', JSON.stringify([{ domid: 1, config: settings }]));
    this.write('state', '-b----\n');
    parts.forEach((part, index) => this.write(`part${index}`, part));
    process.env.PATH = `${join(this.folder, 'bin')}:${this.#path}`;
    process.env.FAKE_XL = this.folder;
  }

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(join(this.folder, name), content);
  }

  close(): void {
    process.env.PATH = this.#path;
    delete process.env.FAKE_XL;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
