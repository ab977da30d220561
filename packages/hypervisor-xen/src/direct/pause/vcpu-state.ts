import { LIBXC } from '../../stream/layout.js';
import { dataView } from '../../stream/headers.js';
import type { DomainControl } from '../xen/control.js';

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

/** The vCPUs and what belongs to them: read in a pause, made into records after it. */
export class VcpuReader {
  readonly #control: DomainControl;
  readonly #context: Uint8Array;
  readonly #mode = new Uint32Array(1);
  readonly #nsec = new BigUint64Array(1);
  readonly #khz = new Uint32Array(1);
  readonly #incarnation = new Uint32Array(1);
  readonly #parameters = PARAMETERS.map(() => new BigUint64Array(1));
  #contextSize = 0;

  /** How much room the vCPUs need does not change while the domain lives. Errors: CAPTURE_FAILED. */
  constructor(control: DomainControl) {
    const { calls, xch } = control.raw;
    this.#control = control;
    const most = calls.xc_domain_hvm_getcontext(xch, control.domid, null, 0);
    this.#context = new Uint8Array(control.check(most, 'tell the size of the vCPU state'));
  }

  /** Only hypercalls: all of it changes when the guest runs, its parameters by hypercalls of its own. */
  read(): void {
    const { calls, xch } = this.#control.raw;
    const { domid } = this.#control;
    const [mode, nsec, khz, incarnation] = [this.#mode, this.#nsec, this.#khz, this.#incarnation];
    const check = (result: number, what: string) => this.#control.check(result, what);
    check(calls.xc_domain_get_tsc_info(xch, domid, mode, nsec, khz, incarnation), 'tell its TSC');
    const context = this.#context;
    this.#contextSize = check(
      calls.xc_domain_hvm_getcontext(xch, domid, context, context.length),
      'tell the vCPU state',
    );
    for (let index = 0; index < PARAMETERS.length; index++) {
      const result = calls.xc_hvm_param_get(xch, domid, PARAMETERS[index], this.#parameters[index]);
      check(result, 'tell an HVM parameter');
    }
  }

  /** What `read` got, in the order of libxc: TSC, HVM context, HVM parameters. */
  records(): LibxcRecord[] {
    return [
      { type: LIBXC.X86_TSC_INFO, body: this.#tscInfo() },
      { type: LIBXC.HVM_CONTEXT, body: this.#context.slice(0, this.#contextSize) },
      { type: LIBXC.HVM_PARAMS, body: this.#hvmParameters() },
    ];
  }

  #tscInfo(): Uint8Array {
    const body = new Uint8Array(24);
    const view = dataView(body);
    view.setUint32(0, this.#mode[0]!, true);
    view.setUint32(4, this.#khz[0]!, true);
    view.setBigUint64(8, this.#nsec[0]!, true);
    view.setUint32(16, this.#incarnation[0]!, true);
    return body;
  }

  #hvmParameters(): Uint8Array {
    const found = PARAMETERS.map((parameter, index) => [parameter, this.#parameters[index]![0]!] as const);
    const set = found.filter(([, value]) => value !== 0n);
    const body = new Uint8Array(8 + 16 * set.length);
    const view = dataView(body);
    view.setUint32(0, set.length, true);
    set.forEach(([parameter, value], index) => {
      view.setBigUint64(8 + 16 * index, BigInt(parameter), true);
      view.setBigUint64(16 + 16 * index, value, true);
    });
    return body;
  }
}
