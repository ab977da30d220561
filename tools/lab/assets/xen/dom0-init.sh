#!/bin/sh
# PID 1 of the dom0 initramfs (busybox): brings Xen's services up, then runs jobs from the shared folder.
# A page fault of a PV kernel takes the emulator a tenth of a millisecond: programs keep the memory they have.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=1000000
tools=$(echo /usr/lib/xen-*)
export PATH=$tools/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export LD_LIBRARY_PATH=$tools/lib/x86_64-linux-gnu HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs -o mode=755,size=80% run /run
mkdir -p /run/lock /run/xen
exec </dev/hvc0 >/dev/hvc0 2>&1
# There is no modprobe: insert until every dependency is met.
for pass in 1 2 3 4; do
  for file in /lib/modules/*/*.ko; do
    name=$(basename "$file" .ko | tr - _)
    [ -d "/sys/module/$name" ] || insmod "$file" 2>/dev/null
  done
done
ip link set lo up
# What QEMU's user network gives to the first machine in it.
ip address add 10.0.2.15/24 dev eth0 && ip link set eth0 up || echo "LAB-FAILED no network"
mount -t xenfs xenfs /proc/xen
share='trans=virtio,version=9p2000.L,msize=262144'
mount -t 9p -o "$share" host /host || echo "LAB-FAILED no shared folder"
# The project and Node.js, read where they are; they do not change while this machine runs.
mount -t 9p -o "ro,cache=loose,$share" project /project || echo "LAB-FAILED no project"
mount -t 9p -o "ro,cache=loose,$share" node /node || echo "LAB-FAILED no Node.js"
mkdir -p /run/sshd
chmod 600 /host/ssh/host_key
/usr/sbin/sshd -f /etc/sshd_config
xenstored --pid-file /run/xen/xenstored.pid
for try in 1 2 3 4 5 6 7 8 9 10; do
  xenstore-read -s / >/dev/null 2>&1 && break
  sleep 0.3
done
xen-init-dom0 >/dev/null
mkdir -p /host/log
xenconsoled --pid-file=/run/xen/xenconsoled.pid --log=guest --log-dir=/host/log
echo "LAB-READY uptime=$(cut -d' ' -f1 /proc/uptime)"
# A job is a file N.sh that appears whole; it runs at once, beside others; N.rc says that it is done.
# Nobody writes to the pipe: reading from it waits without a process of its own, which `sleep` would be.
mkfifo /run/never
exec 7<>/run/never
while :; do
  for job in /host/jobs/*.sh; do
    [ -e "$job" ] || continue
    name=${job%.sh}
    mv "$job" "$name.run"
    (
      sh "$name.run" >"$name.out" 2>"$name.err" </dev/null
      echo $? >"$name.done"
      mv "$name.done" "$name.rc"
    ) &
  done
  read -r -t 0.2 nothing <&7
done
