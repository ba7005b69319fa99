# SPDX-License-Identifier: MIT
# Makes the arrays of this folder in the guest: each on loop devices over files, written over with the pattern.
echo 2 > /proc/sys/kernel/printk
for m in loop raid0 raid1 raid10 raid456; do modprobe $m || echo "no $m"; done
mkdir -p /out; mount -t tmpfs -o size=700m out /out
# begin NAME COUNT KIB...: member files of so many KiB, on /dev/loop0 and up
begin() {
  name=$1; n=$2; shift 2; mkdir -p /out/$name; loops=""; i=0; kib=$1
  while [ $i -lt $n ]; do
    [ -n "$1" ] && kib=$1 && shift
    truncate -s ${kib}K /out/$name/$i; losetup /dev/loop$i /out/$name/$i; loops="$loops /dev/loop$i"; i=$((i+1))
  done
}
# make ARGUMENTS: creates /dev/md0 and writes the pattern over all of it
make() {
  case "$*" in *--level=0*) bitmap="" ;; *) bitmap=--bitmap=none ;; esac
  mdadm --create /dev/md0 --run --homehost=ref --name=$name $bitmap "$@" $loops > /tmp/log 2>&1 || { echo "FAILED $name: $*"; cat /tmp/log; i=0; while [ $i -lt $n ]; do losetup -d /dev/loop$i; i=$((i+1)); done; rm -r /out/$name; return 1; }
  size=$(blockdev --getsz /dev/md0); dd if=/data/pattern of=/dev/md0 bs=512 count=$size conv=fsync 2>/dev/null
}
# finish: stops the array and keeps what mdadm says of it
finish() {
  sync; size=$(blockdev --getsz /dev/md0); echo "sectors $size" > /out/$name/facts
  blockdev --flushbufs /dev/md0; echo "sha256 $(sha256sum /dev/md0 | cut -d' ' -f1)" >> /out/$name/facts
  mdadm --stop /dev/md0 >/dev/null 2>&1 || { sleep 1; mdadm --stop /dev/md0; }
  i=0; while [ $i -lt $n ]; do mdadm --examine /dev/loop$i > /out/$name/$i.examine 2>&1; blockdev --flushbufs /dev/loop$i; i=$((i+1)); done
  i=0; while [ $i -lt $n ]; do losetup -d /dev/loop$i; i=$((i+1)); done
  echo "made $name $size"
}
# again FIRST COUNT: overwrites these sectors with the second pattern
again() { dd if=/data/second of=/dev/md0 bs=512 skip=$1 seek=$1 count=$2 conv=notrunc,fsync 2>/dev/null; sync; }
V="--metadata=1.2 --data-offset=16K"
simple() { begin $1 $2 $3; shift 3; make "$@" && finish; }
begin raid0-original 4 160 96 160 128; make $V --level=0 --raid-devices=4 --chunk=4 --layout=original && finish
begin raid0-alternate 4 160 96 160 128; make $V --level=0 --raid-devices=4 --chunk=4 --layout=alternate && finish
simple raid0-even 3 96 --metadata=1.0 --level=0 --raid-devices=3 --chunk=16
simple raid1-1.0 2 96 --metadata=1.0 --level=1 --raid-devices=2 --assume-clean
simple raid1-1.1 3 96 --metadata=1.1 --data-offset=16K --level=1 --raid-devices=3 --assume-clean
simple raid1-0.90 2 192 --metadata=0.90 --level=1 --raid-devices=2 --assume-clean
simple raid4 4 112 $V --level=4 --raid-devices=4 --chunk=4 --assume-clean
for l in left-asymmetric right-asymmetric left-symmetric right-symmetric parity-first parity-last; do
  simple raid5-$l 4 112 $V --level=5 --raid-devices=4 --chunk=4 --layout=$l --assume-clean; done
simple raid5-0.90 3 192 --metadata=0.90 --level=5 --raid-devices=3 --chunk=16 --assume-clean
simple raid5-1.1 5 144 --metadata=1.1 --data-offset=16K --level=5 --raid-devices=5 --chunk=32 --assume-clean
for l in left-asymmetric right-asymmetric left-symmetric right-symmetric parity-first parity-last ddf-zero-restart ddf-N-restart ddf-N-continue \
  left-asymmetric-6 right-asymmetric-6 left-symmetric-6 right-symmetric-6 parity-first-6; do
  simple raid6-$l 5 112 $V --level=6 --raid-devices=5 --chunk=4 --layout=$l --assume-clean; done
for l in n2 n3 f2 f3 o2 o3; do simple raid10-$l 5 80 $V --level=10 --raid-devices=5 --chunk=4 --layout=$l --assume-clean; done
simple raid10-n2-even 4 80 --metadata=1.0 --level=10 --raid-devices=4 --chunk=8 --layout=n2 --assume-clean
simple raid10-f2-two 2 80 $V --level=10 --raid-devices=2 --chunk=4 --layout=f2 --assume-clean
# one member failed, then sectors 64..128 written anew: that member is stale
begin raid5-stale 4 112; make $V --level=5 --raid-devices=4 --chunk=4 --assume-clean && {
  mdadm /dev/md0 --fail /dev/loop1 >/dev/null 2>&1; mdadm /dev/md0 --remove /dev/loop1 > /dev/null 2>&1; again 64 64; finish; }
# two members failed, one after the other
begin raid6-stale 5 112; make $V --level=6 --raid-devices=5 --chunk=4 --assume-clean && {
  mdadm /dev/md0 --fail /dev/loop3 >/dev/null 2>&1; mdadm /dev/md0 --remove /dev/loop3 >/dev/null 2>&1; again 64 64
  mdadm /dev/md0 --fail /dev/loop0 >/dev/null 2>&1; mdadm /dev/md0 --remove /dev/loop0 >/dev/null 2>&1; again 200 40; finish; }
begin raid1-stale 2 96; make $V --level=1 --raid-devices=2 --assume-clean && {
  mdadm /dev/md0 --fail /dev/loop0 >/dev/null 2>&1; mdadm /dev/md0 --remove /dev/loop0 >/dev/null 2>&1; again 16 32; finish; }
begin raid5-spare 5 112; make $V --level=5 --raid-devices=4 --spare-devices=1 --chunk=4 --assume-clean && finish
# this kernel runs no linear arrays: mdadm writes the superblocks, and the members' data are written here, one after the other
begin linear 3 96 64 128; mdadm --create /dev/md0 --run --homehost=ref --name=$name $V --level=linear --raid-devices=3 $loops > /tmp/log 2>&1; cat /tmp/log
at=0; i=0; while [ $i -lt 3 ]; do have=$(mdadm --examine /dev/loop$i | sed -n 's/.*Avail Dev Size : \([0-9]*\).*/\1/p'); echo "linear $i $have"
  dd if=/data/pattern of=/dev/loop$i bs=512 skip=$at seek=32 count=$have conv=notrunc,fsync 2>/dev/null; at=$((at+have)); i=$((i+1)); done
echo "sectors $at" > /out/linear/facts; i=0; while [ $i -lt $n ]; do mdadm --examine /dev/loop$i > /out/$name/$i.examine 2>&1; blockdev --flushbufs /dev/loop$i; losetup -d /dev/loop$i; i=$((i+1)); done
# a superblock with an internal bitmap
begin raid1-bitmap 2 160; mdadm --create /dev/md0 --run --homehost=ref --name=$name --bitmap=internal --metadata=1.2 --data-offset=64K --level=1 --raid-devices=2 --assume-clean $loops > /tmp/log 2>&1 || cat /tmp/log
dd if=/data/pattern of=/dev/md0 bs=512 count=$(blockdev --getsz /dev/md0) conv=fsync 2>/dev/null; finish
# a rebuild that was stopped: large, since md keeps the place of whole megabytes only
begin raid5-rebuilding 3 2112; make $V --level=5 --raid-devices=3 --chunk=4 --assume-clean && {
  mdadm /dev/md0 --fail /dev/loop2 >/dev/null 2>&1; mdadm /dev/md0 --remove /dev/loop2 >/dev/null 2>&1; mdadm --zero-superblock /dev/loop2
  dd if=/dev/zero of=/dev/loop2 bs=64k 2>/dev/null
  echo 64 > /sys/block/md0/md/sync_speed_max; echo 64 > /sys/block/md0/md/sync_speed_min; echo 2048 > /sys/block/md0/md/sync_max
  mdadm /dev/md0 --add /dev/loop2 2>&1; sleep 3; cat /sys/block/md0/md/sync_completed; echo frozen > /sys/block/md0/md/sync_action; sleep 1; finish; }
cat /proc/mdstat; du -sh /out
cd /out && tar cf /dev/vda . && sync && echo "=== TAR OK"
