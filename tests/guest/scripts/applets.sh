# SPDX-License-Identifier: MIT OR Apache-2.0
# One use, at least, of every applet of busybox whose output is the same on any
# Linux: names come first, so a difference names the applet. The last line says how
# many different ones ran.
b() { echo "== $1"; busybox "$@"; s=$?; [ $s = 0 ] || echo "status $s"; echo "$1" >&3; }
mkdir -p /tmp/applets && cd /tmp/applets || exit 1
exec 3>../applets.used
umask 022
export TZ=UTC LC_ALL=C
printf 'pear\napple\nfig\napple\n' >fruit
printf 'a:1\nb:2\nc:3\n' >pairs
printf 'one\ttwo\nthree\tfour\n' >tabs

# Text.
b awk -F: '{ s += $2 } END { print s, length($0) }' pairs
b base64 fruit
b bc <<'X'
scale=5; 1/7; 2^64
X
b cat fruit pairs
b cmp fruit fruit
b cmp fruit pairs
b crc32 fruit
b cut -d: -f2 pairs
b dc -e '3 4 * p'
b diff fruit pairs
b dos2unix tabs
b ed -s fruit <<'X'
1,2p
q
X
b egrep 'p+' fruit
b expand tabs
b factor 1001 97
b fgrep -c apple fruit
b fold -w 3 fruit
b grep -n apple fruit
b head -n 2 fruit
b hexdump -C fruit
b md5sum fruit
b nl fruit
b od -c fruit
b paste fruit pairs
b printf '%s-%03d\n' x 7
b rev fruit
b sed 's/p/P/g;2d' fruit
b seq 1 3 10
b sha1sum fruit
b sha256sum fruit
b sha3sum fruit
b sha512sum fruit
b shuf -i 5-5
b sort -u fruit
b strings -n 4 fruit
b tac fruit
b tail -n 1 fruit
b tee copy <fruit
b tr a-z A-Z <fruit
b ts '' <pairs
b unexpand -a tabs
b uniq -c fruit
b unix2dos copy
b uudecode -o /dev/stdout <<'X'
begin 644 x
#:&D*
`
end
X
b uuencode fruit name
b wc fruit pairs
b xxd fruit
b yes | head -n 2

# Archives and compressed files.
for tool in 'gzip gunzip gz' 'bzip2 bunzip2 bz2' 'lzop lzop lzo'; do
	set -- $tool
	cp fruit packed && b "$1" -f packed && b "$2" -d -c "packed.$3"
done
b gzip -c fruit >fruit.gz
b zcat fruit.gz
b bzip2 -c fruit >fruit.bz2
b bzcat fruit.bz2
xz -c fruit >fruit.xz
b xzcat fruit.xz
b xz -dc fruit.xz
cp fruit.xz more.xz && b unxz more.xz
xz --format=lzma -c fruit >fruit.lzma
b lzcat fruit.lzma
b lzma -dc fruit.lzma
cp fruit.lzma more.lzma && b unlzma more.lzma
b tar cf fruit.tar fruit pairs
b tar tf fruit.tar
printf 'fruit\npairs\n' | b cpio -o -H newc >fruit.cpio
b cpio -t <fruit.cpio
b ar -t /dev/null
b unzip -l /nonexistent

# Files.
b basename /a/b.c .c
b dirname /a/b.c
b mkdir -p d/e
b touch -d '2020-02-03 04:05:06' d/file
b stat -c '%n %s %a %Y %F' d/file
b ln -s file d/link
b link fruit d/hard
b readlink d/link
b realpath d/link
b cp -r d d2
b mv d2 d3
b ls -R d3
b chmod 640 d/file
b chown 0:0 d/file
b chgrp 0 d/file
b stat -c '%a %u %g' d/file
b find d -type f | sort
b du -a /tmp/applets/d/e
b rm -r d3
b rmdir d/e
b unlink d/hard
b mkfifo d/pipe
b truncate -s 1000 d/file
b fallocate -l 2000 d/file
b stat -c %s d/file
b shred -n 1 -u d/file
b mktemp -u -p /x aXXXXXX | sed 's/a....../a/'
b dd if=fruit of=d/dd bs=2 count=3 conv=notrunc
b cat d/dd
b test -f fruit
b '[' -d d ']'
b "[[" a = b ']]'
b which sh
b sync
b df /nonexistent
b run-parts --test d
b nproc >/dev/null
b getopt ab: -a -b c d
b patch --dry-run fruit <<'X'
--- fruit
+++ fruit
@@ -1,2 +1,2 @@
-pear
+plum
 apple
X

# Names, numbers, times.
b arch
b uname -m
b hostname
b cal 2 2024
b date -u -d @86400
b echo -e 'a\tb'
b expr 6 \* 7
b true
b false
b env -i A=1 busybox env
b groups
b id -u
b whoami
b logname >/dev/null 2>&1
b ipcalc -n 10.1.2.3/20
b ascii | head -n 2
b mkpasswd -m sha256 -S saltsalt secret
b usleep 1000
b sleep 0.01
b tty
b pwd
b hostid >/dev/null
b uptime >/dev/null
b free >/dev/null
b ps >/dev/null
b ubirename
b dnsdomainname >/dev/null 2>&1
b dmesg >/dev/null 2>&1
b who
b w >/dev/null
b last >/dev/null

# Processes.
b time true 2>/dev/null
b timeout 5 echo in time
b timeout 0.1 sleep 5
b setsid echo own session
b xargs -n 2 echo <fruit
b sh -c 'kill -TERM $$'
b ash -c 'trap "echo trapped" USR1; kill -USR1 $$; echo after'
# Whether the shell says "Terminated" depends on which of two ends it sees first.
{
    sleep 20 &
    child=$!
    b kill -s TERM $child
    wait $child
    echo "waited $?"
} 2>/dev/null
b pidof no-such-program
b killall no-such-program
b setpriv --nnp echo less
b linux64 echo personality
b taskset -p 1 $$ >/dev/null 2>&1
b ionice -c 2 -n 3 echo polite
b renice 5 $$ >/dev/null
b nsenter
b start-stop-daemon -S -x /bin/echo -- started
b watch >/dev/null 2>&1
b script >/dev/null 2>&1
b less fruit </dev/null
b more fruit </dev/null
b clear
b reset >/dev/null 2>&1
b resume >/dev/null 2>&1
b stty -g </dev/null
b busybox true
b logger -s -t tag hello 2>/dev/null
b vi -h 2>/dev/null
b lsmod >/dev/null 2>&1
b nslookup 2>/dev/null
b wget 2>/dev/null
b nc 2>/dev/null
exec 3>&-
echo "applets: $(sort -u ../applets.used | wc -l)"
