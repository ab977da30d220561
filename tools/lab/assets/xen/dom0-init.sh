#!/bin/sh
# PID 1 of the dom0 initramfs (busybox): brings Xen's services up, then runs jobs from the shared folder.
export PATH=/usr/lib/xen-4.17/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export LD_LIBRARY_PATH=/usr/lib/xen-4.17/lib/x86_64-linux-gnu HOME=/root
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
ip link set lo up 2>/dev/null
mount -t xenfs xenfs /proc/xen
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 host /host || echo "LAB-FAILED no shared folder"
xenstored --pid-file /run/xen/xenstored.pid
for try in 1 2 3 4 5 6 7 8 9 10; do
  xenstore-read -s / >/dev/null 2>&1 && break
  sleep 0.3
done
xen-init-dom0 >/dev/null
xenconsoled --pid-file=/run/xen/xenconsoled.pid --log=guest --log-dir=/var/log/xen
echo "LAB-READY uptime=$(cut -d' ' -f1 /proc/uptime)"
# A job is a file N.sh that appears whole; it runs at once, beside others; N.rc says that it is done.
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
  sleep 0.2
done
