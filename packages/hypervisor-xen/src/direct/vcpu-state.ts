import { LIBXC } from '../stream/layout.js';
import { dataView } from '../stream/headers.js';
import type { DomainControl } from './control.js';

/**
 * HVM parameters that a restore needs, in the order of libxc: rings and their pfns, VM86 TSS, console, ACPI,
 * viridian, identity map, generation id, ioreq servers, FPU width, MCA.
 */
const PARAMETERS = [1, 5, 6, 27, 28, 29, 37, 17, 19, 9, 12, 34, 32, 33, 36, 38];
const LEAF_SIZE = 24;
const MSR_SIZE = 16;

export interface LibxcRecord {
  readonly type: number;
  readonly body: Uint8Array;
}

/** What does not change while the domain lives: its view of the CPU, then STATIC_DATA_END. */
export function staticRecords(control: DomainControl): LibxcRecord[] {
  const { calls, xch } = control.raw;
  const counts = [new Uint32Array(1), new Uint32Array(1)] as const;
  control.check(calls.xc_cpu_policy_get_size(xch, counts[0], counts[1]), 'tell the size of a CPU policy');
  const leaves = new Uint8Array(counts[0][0]! * LEAF_SIZE);
  const msrs = new Uint8Array(counts[1][0]! * MSR_SIZE);
  const policy = calls.xc_cpu_policy_init();
  try {
    control.check(calls.xc_cpu_policy_get_domain(xch, control.domid, policy), 'tell the CPU policy');
    control.check(
      calls.xc_cpu_policy_serialise(xch, policy, leaves, counts[0], msrs, counts[1]),
      'tell the CPU policy',
    );
  } finally {
    calls.xc_cpu_policy_destroy(policy);
  }
  return [
    { type: LIBXC.X86_CPUID_POLICY, body: leaves.slice(0, counts[0][0]! * LEAF_SIZE) },
    { type: LIBXC.X86_MSR_POLICY, body: msrs.slice(0, counts[1][0]! * MSR_SIZE) },
    { type: LIBXC.STATIC_DATA_END, body: new Uint8Array() },
  ];
}

/** The vCPUs and what belongs to them, in the order of libxc: TSC, HVM context, HVM parameters. */
export function vcpuRecords(control: DomainControl): LibxcRecord[] {
  return [
    { type: LIBXC.X86_TSC_INFO, body: tscInfo(control) },
    { type: LIBXC.HVM_CONTEXT, body: hvmContext(control) },
    { type: LIBXC.HVM_PARAMS, body: hvmParameters(control) },
  ];
}

function tscInfo(control: DomainControl): Uint8Array {
  const { calls, xch } = control.raw;
  const mode = new Uint32Array(1);
  const nsec = new BigUint64Array(1);
  const khz = new Uint32Array(1);
  const incarnation = new Uint32Array(1);
  control.check(
    calls.xc_domain_get_tsc_info(xch, control.domid, mode, nsec, khz, incarnation),
    'tell its TSC',
  );
  const body = new Uint8Array(24);
  const view = dataView(body);
  view.setUint32(0, mode[0]!, true);
  view.setUint32(4, khz[0]!, true);
  view.setBigUint64(8, nsec[0]!, true);
  view.setUint32(16, incarnation[0]!, true);
  return body;
}

function hvmContext(control: DomainControl): Uint8Array {
  const { calls, xch } = control.raw;
  const most = control.check(
    calls.xc_domain_hvm_getcontext(xch, control.domid, null, 0),
    'tell the vCPU state',
  );
  const body = new Uint8Array(most);
  const size = control.check(
    calls.xc_domain_hvm_getcontext(xch, control.domid, body, most),
    'tell the vCPU state',
  );
  return body.slice(0, size);
}

function hvmParameters(control: DomainControl): Uint8Array {
  const { calls, xch } = control.raw;
  const value = new BigUint64Array(1);
  const found: [number, bigint][] = [];
  for (const parameter of PARAMETERS) {
    control.check(
      calls.xc_hvm_param_get(xch, control.domid, parameter, value),
      `tell HVM parameter ${parameter}`,
    );
    if (value[0] !== 0n) found.push([parameter, value[0]!]);
  }
  const body = new Uint8Array(8 + 16 * found.length);
  const view = dataView(body);
  view.setUint32(0, found.length, true);
  found.forEach(([parameter, each], index) => {
    view.setBigUint64(8 + 16 * index, BigInt(parameter), true);
    view.setBigUint64(16 + 16 * index, each, true);
  });
  return body;
}
