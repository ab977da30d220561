import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BootFiles } from './dom0.js';
import { project } from './paths.js';

/**
 * The processor. smap, smep: QEMU 7.2 applies them to the ring-3 iret frames of PV kernels. monitor: Xen's
 * idle loop would use an mwait that QEMU refuses. rdtscp: QEMU reports its intercept as another's.
 */
const PROCESSOR = 'EPYC,-smap,-smep,-monitor,-rdtscp';
/**
 * eager-fpu: with lazy switching QEMU loses SSE registers, and programs corrupt their heaps. Nothing secret is
 * in here: what Xen and Linux do against speculation only costs time.
 */
const XEN_ARGUMENTS =
  'com1=115200,8n1 console=com1 noreboot cpuidle=0 spec-ctrl=no,eager-fpu xpti=no dom0_max_vcpus=1';
const DOM0_ARGUMENTS = 'console=hvc0 loglevel=4 mitigations=off';

export interface EmulatorOptions {
  readonly files: BootFiles;
  /** The run's folder: the console's log, and `shared`, which dom0 sees as /host. */
  readonly folder: string;
  /** Port of 127.0.0.1 that leads to dom0's sshd. */
  readonly sshPort: number;
  /** Memory of the machine and of dom0, MiB. */
  readonly memory: number;
  readonly dom0Memory: number;
}

function share(name: string, path: string, readonly: boolean): string[] {
  const access = readonly ? ',readonly=on' : '';
  return [
    ...['-fsdev', `local,id=${name},path=${path.replaceAll(',', ',,')},security_model=none${access}`],
    ...['-device', `virtio-9p-pci,fsdev=${name},mount_tag=${name}`],
  ];
}

/** What QEMU is started with to boot Xen and dom0, without hardware virtualization. */
export function emulatorParameters(options: EmulatorOptions): string[] {
  const { files, folder, sshPort, memory, dom0Memory } = options;
  return [
    ...['-accel', 'tcg,thread=single', '-machine', 'q35', '-cpu', PROCESSOR, '-m', String(memory)],
    ...['-smp', '1', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-serial', `file:${join(folder, 'console.log')}`],
    ...share('host', join(folder, 'shared'), false),
    ...share('project', project, true),
    ...share('node', dirname(realpathSync(process.execPath)), true),
    ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${sshPort}-:22`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-kernel', files.hypervisor],
    ...['-append', `${XEN_ARGUMENTS} dom0_mem=${dom0Memory}M,max:${dom0Memory}M`],
    ...['-initrd', `${files.kernel} ${DOM0_ARGUMENTS},${files.initramfs}`],
  ];
}
