# SPDX-License-Identifier: MIT
# Makes arrays whose reshape is stopped; see guest.sh. Each: name, members at first, members that are added, KiB of a member,
# how it is made, what is done before it grows, and how it grows. It is stopped when its superblocks have a position for the first
# time.
echo 2 > /proc/sys/kernel/printk
for m in loop raid0 raid1 raid10 raid456; do modprobe $m; done
mkdir -p /out; mount -t tmpfs -o size=700m out /out
mkdir -p /data /tmp; cp /dev/vdc /data/pattern
add() { truncate -s $1K /out/$name/$i; losetup /dev/loop$i /out/$name/$i; i=$((i+1)); }
reshape() {
  name=$1; mkdir -p /out/$name; loops=""; i=0
  while [ $i -lt $2 ]; do loops="$loops /dev/loop$i"; add $4; done
  case "$5" in *level=0*) bitmap="" ;; *) bitmap="--bitmap=none --assume-clean" ;; esac
  mdadm --create /dev/md0 --run --homehost=ref --name=$name $bitmap $5 $loops 2>&1 | grep -v started
  size=$(blockdev --getsz /dev/md0); dd if=/data/pattern of=/dev/md0 bs=512 count=$size conv=fsync 2>/dev/null
  eval "$6"
  size=$(blockdev --getsz /dev/md0)
  echo "sectors $size" > /out/$name/facts; echo "sha256 $(sha256sum /dev/md0 | cut -d' ' -f1)" >> /out/$name/facts
  new=""; j=0; while [ $j -lt $3 ]; do new="$new /dev/loop$i"; add $4; j=$((j+1)); done
  case "$5" in *level=0*) added="--add $new" ;; *) added=""; [ -n "$new" ] && mdadm /dev/md0 --add $new 2>&1 ;; esac
  echo 100 > /sys/block/md0/md/sync_speed_max; echo 50 > /sys/block/md0/md/sync_speed_min
  (timeout 20 mdadm --grow /dev/md0 $7 $added > /tmp/grow.log 2>&1) &
  n=0; while [ $n -lt 3000 ]; do
    case $(cat /sys/block/md0/md/sync_action 2>/dev/null) in reshape) break ;; esac; n=$((n+1)); done
  echo 100 > /sys/block/md0/md/sync_speed_max; echo 50 > /sys/block/md0/md/sync_speed_min
  n=0; while [ $n -lt 250 ]; do
    case $(cat /sys/block/md0/md/reshape_position) in none|0|$size) n=$((n+1)); sleep 0.1 ;; *) break ;; esac; done
  cat /tmp/grow.log; cat /sys/block/md0/md/reshape_position /sys/block/md0/md/sync_action /sys/block/md0/md/sync_completed; grep -A2 ^md /proc/mdstat
  mdadm --stop /dev/md0 2>&1 || { sleep 2; mdadm --stop /dev/md0; }
  j=0; while [ $j -lt $i ]; do mdadm --examine /dev/loop$j > /out/$name/$j.examine 2>&1
    grep -E "Feature|Reshape|Delta|New|Offset|Raid Dev|Raid Lev|Layout|Chunk|Recovery|Role|State|Unused" /out/$name/$j.examine | tr -s ' ' | tr '\n' ';'; echo
    blockdev --flushbufs /dev/loop$j; losetup -d /dev/loop$j; j=$((j+1)); done
  echo "made $name $size"; echo
}
V="--metadata=1.2 --data-offset=1M"
reshape raid6-grows 4 1 3072 "$V --size=512 --level=6 --raid-devices=4 --chunk=16" "" "--raid-devices=5"
reshape raid10-grows 4 1 3072 "$V --size=512 --level=10 --raid-devices=4 --chunk=16" "" "--raid-devices=5"
reshape raid10-shrinks 5 0 3072 "$V --size=1024 --level=10 --raid-devices=5 --chunk=16" "mdadm --grow /dev/md0 --array-size=2048" "--raid-devices=4"
reshape raid5-0.90-grows 3 1 1088 "--metadata=0.90 --level=5 --raid-devices=3 --chunk=16" "" "--raid-devices=4"
reshape raid5-shrinks 4 0 3072 "$V --level=5 --raid-devices=4 --chunk=16" "mdadm --grow /dev/md0 --array-size=4096" "--raid-devices=3 --backup-file=/tmp/b2"
reshape raid5-chunk 3 0 8192 "$V --size=3072 --level=5 --raid-devices=3 --chunk=16" "" "--chunk=32"
reshape raid6-becomes-5 4 0 8192 "$V --size=3072 --level=6 --raid-devices=4 --chunk=16" "" "--layout=left-symmetric-6"
cd /out && tar cf /dev/vdb . && sync && echo "=== TAR OK"
