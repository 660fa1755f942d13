# SPDX-License-Identifier: MIT OR Apache-2.0
# The tools of a Debian system, on files whose names, sizes and times are known.
mkdir -p /tmp/tools && cd /tmp/tools || exit 1
umask 022
say() { echo "== $*"; }

say coreutils
seq 1 2000 | shuf --random-source=/bin/sh | sort -n | md5sum
seq 1 5 | tee a >b; paste b a | join - a | tr ' ' _
printf '%s\n' 10 9 2 1 | sort -n -S 1M --parallel=2 | xargs
head -c 100000 /dev/zero | tr '\0' x | fold -w 1000 | sha256sum
split -n l/3 a part-; cat part-aa part-ab part-ac | cmp - a
dd if=/dev/zero of=sparse bs=1 count=1 seek=1M 2>/dev/null; stat -c '%s' sparse
cp --sparse=always sparse holes; cmp sparse holes && du -k --apparent-size holes
touch -d '2001-02-03 04:05:06.789' a; stat -c '%y %a %U:%G %h' a
ln a hard; ln -s a soft; touch -h -d 2002-03-04 soft; stat -c '%h %N' a soft
ls -l --time-style=long-iso a soft | cut -d' ' -f1,2,6-
install -D -m 750 a x/y/z; mv -v x w; cp -av w v; rm -rv v w | sort
chmod u=rwx,g=s,o=t a; stat -c %A a; chmod 644 a
mkdir -p deep/1/2/3/4; (cd deep/1/2; pwd; realpath --relative-to=/tmp 3/4)
nproc --ignore=100; tty; id
timeout 0.2 sleep 5; echo "timeout: $?"
timeout -s INT 0.2 sleep 5; echo "interrupted: $?"
nice -n 5 nice; env -i A=b env; nohup echo hup 2>/dev/null
date -u -d '@1e9' 2>/dev/null || date -u -d @1000000000; numfmt --to=iec 1048576; factor 1000003
mktemp -d /tmp/tools/tmp.XXXX >name; [ -d "$(cat name)" ] && rmdir "$(cat name)"; truncate -s 5 a; wc -c a
tail -n 1 -f --pid=$(sh -c 'echo $PPID; sleep 0.1') /dev/null & sleep 0.3; kill $! 2>/dev/null; wait 2>/dev/null

say findutils
mkdir -p tree/a tree/b; touch -d 2000-01-01 tree/a/old; echo hi >tree/b/new; ln -s nowhere tree/dangling
find tree -printf '%y %m %p %l\n' | sort
find tree -newermt 2010-01-01 -type f; find tree -xtype l; find tree -type f -exec cat {} +
find tree -type f -print0 | xargs -0 -n 1 -P 2 basename | sort
find tree -depth -delete; ls

say grep, sed, awk
grep -rn needle . ; echo "grep: $?"
printf 'alpha\nbeta\ngamma\n' >greek; grep -c a greek; grep -oP 'a(?=m)' greek; rg -n eta greek
sed -n '/alpha/,/beta/{s/a/A/g;p}' greek; sed -i.bak 2d greek; ls greek*; sed -z 's/\n/,/g' greek
gawk 'BEGIN { while (("echo one; echo two" | getline x) > 0) n++; print n, strftime("%F", 0, 1); print "to sort" | "sort"; close("sort"); system("echo system") }'
gawk '{ a[$0]++ } END { n = asorti(a, b); for (i = 1; i <= n; i++) print b[i] }' greek
gawk 'BEGIN { s = "/bin/cat"; print "coprocess" |& s; close(s, "to"); s |& getline r; print r }'

say tar and compressors
mkdir -p in/d; seq 1 30000 >in/numbers; ln -s numbers in/link; ln in/numbers in/hard; mkfifo in/d/fifo
touch -d @1e9 in in/d in/*  2>/dev/null; touch -h -d @1000000000 in/link in/numbers in/d in/d/fifo in
for z in gzip bzip2 xz zstd; do
	tar --sort=name --$z -cf in.tar.$z in && mkdir out.$z && tar -C out.$z -xf in.tar.$z && diff -r in/numbers out.$z/in/numbers &&
		tar -tvf in.tar.$z | wc -l
done
tar -tvf in.tar.zstd --full-time; [ out.xz/in/numbers -ef out.xz/in/hard ] && echo hard link kept
gzip -k in/numbers 2>/dev/null; gzip -f in/hard; gzip -l in/hard.gz | tail -n 1; zcat in/hard.gz | tail -n 1
xz -T2 -9 -c in/numbers | xz -dc | cmp - in/numbers; zstd -q -19 -T2 -c in/numbers | zstd -dqc | cmp - in/numbers && echo threads agree
(cd in && find . -name 'num*' | sort | cpio -o -H newc 2>/dev/null) | cpio -t 2>/dev/null

say make, diff, patch, bc, jq, file
printf 'all: one two\n\t@echo all\none two:\n\t@sleep 0.1; echo $@ >$@; echo made $@\n' >Makefile
make -s -j2 -Otarget | sort; make -s; make -q two; echo "up to date: $?"
printf 'bad:\n\t@false\n' | make -f - 2>/dev/null; echo "make: $?"
printf '1\n2\n3\n' >l; printf '1\n3\n4\n' >r; diff -u --label l --label r l r; diff -y -W 20 l r; cmp l r
echo '2^100; scale=20; sqrt(2)' | bc; echo '{"a":[1,{"b":null}]}' | jq -c '.a[1], (.a|length)'
file -b /bin/sh | cut -d, -f1-2; file -b greek
sleep 5 & ps -o comm= -p $!; pkill -P $$ sleep; wait 2>/dev/null
flock lock true && echo locked; (flock -n 9 && flock -n lock true || echo busy) 9>lock
setsid -w echo session; ionice -c 3 true; getopt -o a: -- -a 1; rev <<X
abc
X
