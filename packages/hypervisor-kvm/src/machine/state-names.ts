/** Names of the parts of a QEMU machine's device state: its configuration section, and all device sections. */
export const CONFIGURATION_STATE = 'configuration';
export const DEVICES_STATE = 'devices';
