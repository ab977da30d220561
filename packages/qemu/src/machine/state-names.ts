/** Names of the parts of a QEMU machine's device state: its configuration section, and all device sections. */
export const CONFIGURATION_STATE = 'configuration';
export const DEVICES_STATE = 'devices';
/** Its file systems were frozen, or may have been, by its agent: so they are when it is restored. */
export const FROZEN_STATE = 'frozen-file-systems';
