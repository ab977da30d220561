import { join } from 'node:path';

export interface ClusterPlace {
  readonly directory: string;
  readonly fsid: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
}

/** Names below the cluster's directory. */
export function placesIn(directory: string) {
  return {
    configuration: join(directory, 'ceph.conf'),
    keyring: join(directory, 'keyring'),
    monitorMap: join(directory, 'monitor-map'),
    folders: ['mon', 'osd', 'mgr', 'run', 'log'].map((name) => join(directory, name)),
  };
}

/**
 * The configuration of a cluster of one: all on loopback, one copy of everything, objects in the memory of the
 * one OSD, pools of a single placement group so that they are there at once.
 */
export function clusterSettings({ directory, fsid, monitorPort, gatewayPort }: ClusterPlace): string {
  const settings: Record<string, string | number | boolean> = {
    fsid,
    mon_host: `[v2:127.0.0.1:${monitorPort}]`,
    ms_bind_msgr1: false,
    public_network: '127.0.0.0/8',
    keyring: placesIn(directory).keyring,
    mon_data: join(directory, 'mon'),
    osd_data: join(directory, 'osd'),
    mgr_data: join(directory, 'mgr'),
    run_dir: join(directory, 'run'),
    admin_socket: join(directory, 'run', '$name.asok'),
    pid_file: join(directory, 'run', '$name.pid'),
    log_file: join(directory, 'log', '$name.log'),
    mon_allow_pool_size_one: true,
    mon_warn_on_pool_no_redundancy: false,
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    osd_pool_default_pg_num: 1,
    osd_pool_default_pgp_num: 1,
    osd_pool_default_pg_autoscale_mode: 'off',
    osd_crush_chooseleaf_type: 0,
    osd_objectstore: 'memstore',
    memstore_device_bytes: 4 * 2 ** 30,
    osd_memory_target: 896 * 2 ** 20,
    rgw_frontends: `beast endpoint=127.0.0.1:${gatewayPort}`,
    rgw_enable_apis: 's3',
    rgw_dynamic_resharding: false,
    rgw_thread_pool_size: 32,
    // What is deleted is gone soon, for it stands in memory.
    rgw_gc_obj_min_wait: 5,
    rgw_gc_processor_period: 5,
    debug_rgw: 1,
  };
  return `[global]\n${Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}`)
    .join('\n')}\n`;
}
