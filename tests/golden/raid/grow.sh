# SPDX-License-Identifier: MIT
# Makes an array whose reshape is stopped; see guest.sh.
echo 2 > /proc/sys/kernel/printk
for m in loop raid0 raid1 raid10 raid456; do modprobe $m; done
mkdir -p /out; mount -t tmpfs -o size=700m out /out
reshape() { # name, members at first, KiB, "create args", "grow args", sync_max
  name=$1; n=$2; mkdir -p /out/$name; loops=""; i=0
  while [ $i -lt $2 ]; do truncate -s $3K /out/$name/$i; losetup /dev/loop$i /out/$name/$i; loops="$loops /dev/loop$i"; i=$((i+1)); done
  mdadm --create /dev/md0 --run --homehost=ref --name=$name --bitmap=none --metadata=1.2 --data-offset=1M $4 --assume-clean $loops 2>&1 | grep -v started
  size=$(blockdev --getsz /dev/md0); dd if=/data/pattern of=/dev/md0 bs=512 count=$size conv=fsync 2>/dev/null
  echo "sectors $size" > /out/$name/facts; echo "sha256 $(sha256sum /dev/md0 | cut -d' ' -f1)" >> /out/$name/facts
  for a in $7; do truncate -s $3K /out/$name/$i; losetup /dev/loop$i /out/$name/$i; mdadm /dev/md0 --add /dev/loop$i 2>&1; i=$((i+1)); done; n=$i
  echo 100 > /sys/block/md0/md/sync_speed_max; echo 50 > /sys/block/md0/md/sync_speed_min
  mdadm --grow /dev/md0 $5 2>&1; echo $6 > /sys/block/md0/md/sync_max; sleep 2; cat /sys/block/md0/md/reshape_position /sys/block/md0/md/sync_action; cat /proc/mdstat | grep -A2 ^md
  echo frozen > /sys/block/md0/md/sync_action; cat /sys/block/md0/md/reshape_position; mdadm --stop /dev/md0 2>&1
  i=0; while [ $i -lt $n ]; do mdadm --examine /dev/loop$i > /out/$name/$i.examine 2>&1; grep -E "Reshape|Delta|New|Offset|Raid Dev|Layout|Chunk|Unused" /out/$name/$i.examine | tr -s ' ' | tr '\n' ';'; echo; blockdev --flushbufs /dev/loop$i; losetup -d /dev/loop$i; i=$((i+1)); done
  echo "made $name $size"
}
reshape raid5-grows 3 3072 "--level=5 --raid-devices=3 --chunk=16" "--raid-devices=4" 1024 x
cd /out && tar cf /dev/vda . && sync && echo "=== TAR OK"
