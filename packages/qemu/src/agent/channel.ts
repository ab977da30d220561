import type { QmpClient } from '../qmp/client.js';

/** The name by which a guest knows its agent's channel. */
const PORT = 'org.qemu.guest_agent.0';

/** The unix socket of the channel to a guest's agent; undefined where there is none, or another kind of channel. */
export async function agentChannel(qmp: QmpClient): Promise<string | undefined> {
  for (const place of ['/machine/peripheral', '/machine/peripheral-anon']) {
    const found = await qmp.execute<readonly { name: string; type: string }[]>('qom-list', { path: place });
    for (const { name, type } of found) {
      if (type !== 'child<virtserialport>') continue;
      const get = async (property: string): Promise<string> =>
        qmp.execute<string>('qom-get', { path: `${place}/${name}`, property });
      if ((await get('name')) === PORT) return socketOf(qmp, await get('chardev'));
    }
  }
  return undefined;
}

async function socketOf(qmp: QmpClient, label: string): Promise<string | undefined> {
  const all = await qmp.execute<readonly { label: string; filename: string }[]>('query-chardev', {});
  const filename = all.find((each) => each.label === label)?.filename ?? '';
  // disconnected:unix:/run/agent.sock,server=on; with a client, its name follows an arrow in some versions.
  return /^(?:disconnected:)?unix:(\/[^,]+),server(?:=on)?(?:,|$|\s|<)/.exec(filename)?.[1];
}
