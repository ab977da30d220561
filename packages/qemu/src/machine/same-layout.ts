import { totalPages, type MachineInfo } from '@fitdoc/interface';
import type { StreamHeader } from '../stream/sections.js';

/** Whether a stream announces the memory that the machine had at the attach. */
export function sameLayout(header: StreamHeader, { regions }: MachineInfo): boolean {
  const { blocks } = header;
  return (
    blocks.length === regions.length &&
    blocks.every(
      ({ name, firstGfn }, index) => regions[index]!.name === name && regions[index]!.firstGfn === firstGfn,
    ) &&
    blocks.reduce((sum, { size }) => sum + size, 0) === totalPages(regions) * 4096
  );
}
