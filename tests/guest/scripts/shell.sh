# SPDX-License-Identifier: MIT OR Apache-2.0
# What every POSIX shell asks of a kernel: pipes, files, signals, children.
cd /tmp || exit 1
umask 022

# Pipelines and substitution.
seq 1 1000 | sort -r | head -n 3 | tr '\n' ' '; echo
echo "a$(echo b | cat)c$(true; echo $?)"
false | true; echo "last of a pipeline: $?"
(exit 7); echo "subshell: $?"
{ echo out; echo err >&2; } 2>&1 | sort
yes | head -n 1
i=0; while [ $i -lt 50 ]; do echo $i; i=$((i + 1)); done | wc -l

# Redirections.
exec 3>three; echo to three >&3; exec 3>&-; cat three
echo more >>three; wc -l <three
cat <<X
here $((6 * 7))
X
echo one >clobber; set -C; (echo two >clobber) 2>/dev/null || echo refused; set +C
exec 4<>both; echo both >&4; exec 4>&-; cat both
read -r first rest <three; echo "$first|$rest"
: >empty; [ -s empty ] || echo empty
umask 077; echo x >private; ls -l private | cut -c1-10; umask 022

# Children and signals.
sleep 0.1 & wait $!; echo "waited: $?"
(sleep 10) & kill $!; wait $! 2>/dev/null; echo "killed: $?"
(sh -c 'kill -KILL $$'; exit $?) 2>/dev/null; echo "by signal 9: $?"
trap 'echo caught USR1' USR1; kill -USR1 $$; trap - USR1
(trap 'echo leaving' EXIT; exit 3); echo "exit trap: $?"
(trap '' TERM; kill -TERM $(sh -c 'echo $PPID'); echo survived)
(sleep 0.2; kill -ALRM $$) & trap 'echo alarm' ALRM; wait; trap - ALRM
sh -c 'exec sh -c "echo replaced"'
no-such-command 2>/dev/null; echo "missing: $?"
touch plain; ./plain 2>/dev/null; echo "not executable: $?"
printf '#!/bin/sh\necho script "$@"\n' >script; chmod +x script; ./script 1 2
printf '#!/no/such/interpreter\n' >bad; chmod +x bad; ./bad 2>/dev/null; echo "no interpreter: $?"
printf 'echo no header $1\n' >bare; chmod +x bare; ./bare x
for n in 1 2 3 4 5 6 7 8; do (sleep 0.0$n; echo $n) & done | sort | tr -d '\n'; echo
mkfifo fifo; cat fifo & echo through a fifo >fifo; wait

# Directories and limits.
mkdir -p a/b; cd a/b; pwd; cd ..; pwd; cd - >/dev/null; pwd; cd /tmp
ln -s a/b link; cd link; pwd; pwd -P; cd /tmp
echo [abc]* ?hree
ulimit -n 64; ulimit -n
[ -d a ] && [ ! -e missing ] && [ -L link ] && [ -x script ] && [ -p fifo ] && echo tests
[ three -nt script ] || echo older
times >/dev/null; echo "times: $?"
kill -l 15
