import type { TestGuest } from './real.js';

/** What the registers take for suspend to RAM, and for off. */
export const SUSPEND = 0x2400;
export const POWER_OFF = 0x2000;

/** Writes to the power management registers of the PC's chipset, as a guest's kernel does. */
export async function powerManagement(guest: TestGuest, value: number): Promise<void> {
  const lines = ['/w 0xcf8 0x80000b40', '/w 0xcfc 0x601', '/w 0xcf8 0x80000b80', '/b 0xcfc 1'];
  for (const line of [...lines, `/h 0x604 0x${value.toString(16)}`])
    await guest.monitor.execute('human-monitor-command', { 'command-line': `o ${line}` });
}
