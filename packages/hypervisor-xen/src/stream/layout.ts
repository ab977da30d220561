/** Record types of the outer layer, the libxl stream. */
export const LIBXL = {
  END: 0,
  LIBXC_CONTEXT: 1,
  EMULATOR_XENSTORE_DATA: 2,
  EMULATOR_CONTEXT: 3,
  CHECKPOINT_END: 4,
  CHECKPOINT_STATE: 5,
} as const;

/** Record types of the inner layer, the libxc stream. The numbers collide with those of LIBXL. */
export const LIBXC = {
  END: 0x00,
  PAGE_DATA: 0x01,
  X86_PV_INFO: 0x02,
  X86_PV_P2M_FRAMES: 0x03,
  X86_PV_VCPU_BASIC: 0x04,
  X86_PV_VCPU_EXTENDED: 0x05,
  X86_PV_VCPU_XSAVE: 0x06,
  SHARED_INFO: 0x07,
  X86_TSC_INFO: 0x08,
  HVM_CONTEXT: 0x09,
  HVM_PARAMS: 0x0a,
  TOOLSTACK: 0x0b,
  X86_PV_VCPU_MSRS: 0x0c,
  VERIFY: 0x0d,
  CHECKPOINT: 0x0e,
  CHECKPOINT_DIRTY_PFN_LIST: 0x0f,
  STATIC_DATA_END: 0x10,
  X86_CPUID_POLICY: 0x11,
  X86_MSR_POLICY: 0x12,
} as const;

/** A record whose type has this bit may be skipped by who does not know it. */
export const OPTIONAL_RECORD = 0x80000000;

/** Page types of PAGE_DATA that matter here: the top four bits of an entry. */
export const PAGE_TYPE = { NORMAL: 0, BROKEN: 0xd, ALLOCATED: 0xe, ABSENT: 0xf } as const;

/** Whether a page of this type brings 4096 bytes along in PAGE_DATA. */
export function hasData(type: number): boolean {
  return type < PAGE_TYPE.BROKEN;
}

/** Most pfns that Xen's own tools put into one PAGE_DATA record. */
export const PAGES_PER_RECORD = 1024;

/** The largest body of a record that is believed: what Xen's own reader allows. */
export const RECORD_LIMIT = 128 * 1024 * 1024;

const libxcNames = new Map<number, string>(
  Object.entries(LIBXC).map(([name, type]) => [type, name.toLowerCase().replaceAll('_', '-')]),
);

/** A libxc record's name for people, or its number when it is not known. */
export function libxcName(type: number): string {
  return libxcNames.get(type) ?? `0x${type.toString(16)}`;
}

/** Whether a libxc record belongs in front of the pages: what a restore must know before it fills memory. */
export function precedesPages(type: number): boolean {
  return (
    type === LIBXC.X86_PV_INFO ||
    type === LIBXC.X86_PV_P2M_FRAMES ||
    type === LIBXC.STATIC_DATA_END ||
    type === LIBXC.X86_CPUID_POLICY ||
    type === LIBXC.X86_MSR_POLICY
  );
}
