import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import {
  buildInitramfs,
  guestDrivers,
  startGuest,
  VIRTIO_PCI,
  type RunningGuest,
} from '../../../lab/src/qemu/index.js';
import { debianPrograms, type DebianPrograms } from './debian-programs.js';
import { whenLoaded } from './when-loaded.js';

const REDIS: DebianPrograms = {
  cache: 'redis',
  packages: [
    ...['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1', 'libc6', 'libssl3'],
    ...['libsystemd0', 'libcap2', 'libgcrypt20', 'libgpg-error0', 'liblzma5', 'libzstd1', 'liblz4-1'],
    ...['libgcc-s1', 'libstdc++6'],
  ],
  programs: ['redis-server', 'redis-cli', 'redis-benchmark'],
  libraries:
    /^(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libatomic|libjemalloc|liblzf|libssl|libcrypto|libsystemd|libcap|libgcrypt|libgpg-error|liblzma|libzstd|liblz4|libgcc_s|libstdc\+\+)\.so/,
};

export interface RedisLoad {
  /** Rows of 4 KB that lie in the store and are not touched again. */
  readonly rows: number;
  /** Keys that the clients write and read. */
  readonly keys: number;
  /** Clients that write; half as many read. 0: nobody does, and the guest is idle. */
  readonly writers: number;
  /** Port of this host's loopback at which redis can be asked as well. Default: it has no network. */
  readonly port?: number;
}

/** A record of about 300 bytes in which every number is drawn anew at each write. */
const RECORD = ['user', 'balance', 'session', 'visits', 'basket', 'last', 'rank', 'credit']
  .map((name) => `"${name}":"__rand_int__"`)
  .join(',');

/** What Debian's kernel for virtual machines needs for a network card, in this order. */
const NETWORK = [...VIRTIO_PCI, ...['failover', 'net_failover', 'virtio_net']];

function script({ rows, keys, writers, port }: RedisLoad): string {
  const benchmark = `redis-benchmark -s /tmp/redis -r ${keys}`;
  const write = `SET 'key:__rand_int__' '{${RECORD}}'`;
  const readers = Math.ceil(writers / 2);
  const clients =
    writers === 0
      ? ''
      : `${benchmark} -c ${writers} -n 2000000000 ${write} >/dev/null 2>&1 &
${benchmark} -c ${readers} -n 2000000000 GET 'key:__rand_int__' >/dev/null 2>&1 &`;
  const listening = port === undefined ? '--port 0' : '--port 6379 --protected-mode no';
  return `redis-server ${listening} --unixsocket /tmp/redis --save '' --appendonly no --enable-debug-command yes >/tmp/log 2>&1 &
until redis-cli -s /tmp/redis ping >/dev/null 2>&1; do sleep 1; done
redis-cli -s /tmp/redis DEBUG POPULATE ${rows} row 4000
${benchmark} -P 32 -n ${2 * keys} ${write} >/dev/null 2>&1
${clients}
echo "LOAD $(redis-cli -s /tmp/redis DBSIZE)"
while true; do sleep 1000; done
`;
}

/** Boots Debian's kernel with Debian's redis, emulated, and resolves when the data is there and the load runs. */
export async function startRedisGuest(memoryKib: number, load: RedisLoad): Promise<RunningGuest> {
  const { port } = load;
  const up = port === undefined ? [] : ['ifconfig eth0 10.0.2.15 up'];
  const extra = await guestDrivers(port === undefined ? [] : NETWORK, [...up, script(load)]);
  const initramfs = await buildInitramfs([...(await debianPrograms(REDIS)), ...extra]);
  const guest = await startGuest({
    ...{ accel: 'tcg', guest: 'linux', memoryKib, initramfs },
    extraArgs: ['-qmp', 'unix:monitor.sock,server=on,wait=off', ...networkCard(port)],
  });
  return whenLoaded(guest, 'redis');
}

function networkCard(port: number | undefined): string[] {
  if (port === undefined) return [];
  const backend = `user,id=net0,hostfwd=tcp:127.0.0.1:${port}-10.0.2.15:6379`;
  return ['-netdev', backend, '-device', 'virtio-net-pci,netdev=net0,romfile='];
}

/** A port of the loopback that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
