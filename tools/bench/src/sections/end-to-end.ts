import { loadRow } from '../end-to-end/load.js';
import { mockSizes } from '../end-to-end/mock-sizes.js';
import { qemuGuests } from '../end-to-end/qemu-guests.js';
import { restoreRows } from '../end-to-end/restore.js';
import { askedGuests } from '../end-to-end/which-guests.js';
import type { Section } from '../section.js';

export const section: Section = {
  name: 'end_to_end',
  title: 'Whole checkpoints and restores, durable on disk',
  async run(context) {
    const before = loadRow('before');
    const guests = await qemuGuests(context);
    if (askedGuests()) return [...guests, before, loadRow('after')];
    const sizes = await mockSizes(context);
    const restores = await restoreRows(context);
    return [...guests, ...sizes, ...restores, before, loadRow('after')];
  },
};
