# SPDX-License-Identifier: MIT
# Makes the array NAME with a write journal on /dev/vdc and up, the journal last, writes the pattern (/dev/vdb) to it, and takes the
# power away before anything of the log is given back.
name=$NAME
case $name in
raid5-journal) n=3; how="--level=5 --chunk=4"; mode=write-through ;;
raid6-cached) n=4; how="--level=6 --chunk=4"; mode=write-back ;;
raid4-cached) n=3; how="--level=4 --chunk=8"; mode=write-back ;;
esac
all=$(echo c d e f g h | cut -d' ' -f1-$n | sed 's,[a-h],/dev/vd&,g'); journal=/dev/vd$(echo c d e f g h | cut -d' ' -f$((n + 1)))
# the journal has room for everything
mdadm --create /dev/md0 --run --homehost=ref --name=$name --metadata=1.2 --data-offset=16K --assume-clean --raid-devices=$n $how $all --write-journal $journal
echo $mode > /sys/block/md0/md/journal_mode; cat /sys/block/md0/md/journal_mode
size=$(blockdev --getsz /dev/md0); echo "sectors $size"
dd if=/dev/vdb of=/dev/md0 bs=512 count=$size oflag=direct
# some of it again, in pieces that are no blocks
for at in 3 64 71 100; do dd if=/dev/vdb of=/dev/md0 bs=512 count=5 skip=$at seek=$at oflag=direct; done
echo "sha256 $(dd if=/dev/md0 bs=4k iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1)"
echo b > /proc/sysrq-trigger
