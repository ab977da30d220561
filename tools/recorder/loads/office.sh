#!/bin/busybox sh
# A small server's day: a journal that grows, a table that is edited, sorted and summed up, files that are
# packed, unpacked, searched and compared. Everything happens in memory: the guest has no disk.
export PATH=/bin LC_ALL=C
mkdir -p /tmp/day && cd /tmp/day || exit 1

awk 'BEGIN {
  srand(11)
  split("amber birch cedar dune ember fjord grove heath inlet juniper", word, " ")
  for (i = 0; i < 6000; i++)
    printf "%05d %s %d %.2f\n", i, word[1 + int(rand() * 10)], int(rand() * 500), rand() * 1000
}' > table
echo LOAD ready > /dev/ttyS0

round=0
while :; do
  round=$((round + 1))
  # A few hundred rows get new numbers, as orders come in.
  awk -v seed=$round 'BEGIN { srand(seed) } {
    if (rand() < 0.05) $3 = int(rand() * 500)
    print
  }' table > table.new && mv table.new table
  awk -v round=$round '{ sum[$2] += $3 * $4 } END { for (w in sum) print round, w, sum[w] }' table >> journal
  case $((round % 5)) in
    0) sort -k2,2 -k3,3n table > sorted ;;
    1) head -n 1500 table | gzip -1 > table.gz ;;
    2) tar cf pack.tar journal table.gz 2> /dev/null; md5sum pack.tar > pack.sum ;;
    3) grep -c cedar table > count; cut -d' ' -f2 table | sort | uniq -c > words ;;
    4) rm -f sorted pack.tar; tail -n 400 journal > journal.new && mv journal.new journal ;;
  esac
  sleep 0.4
done
