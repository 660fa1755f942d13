# SPDX-License-Identifier: MIT OR Apache-2.0
# What bash does beyond a POSIX shell.
cd /tmp || exit 1
diff <(seq 1 3) <(seq 2 4)
tee >(tr a-z A-Z >upper) <<<'process substitution' >/dev/null; sleep 0.5; cat upper
coproc { while read -r line; do echo "co: $line"; done; }
echo hello >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"
exec {COPROC[1]}>&-; wait
true | false | (exit 3); echo "${PIPESTATUS[@]}"
set -o pipefail; false | true; echo "pipefail: $?"; set +o pipefail
declare -A map=([a]=1 [b]=2); for k in a b; do echo "$k=${map[$k]}"; done
echo $BASHPID | grep -c '^[0-9]*$'
[[ $(ulimit -Sn) =~ ^[0-9]+$ ]] && echo number
read -t 0.1 -r nothing < <(sleep 1); echo "read timed out: $(($? > 128))"
(for i in 1 2 3; do sleep 0.0$i & done; wait -n; echo "first: $?"; wait; echo all)
time_of() { local TIMEFORMAT=%0R; time "$@"; }
time_of true 2>/dev/null
printf '%(%Y-%m-%d)T\n' 86400
mapfile -t lines < <(seq 1 5); echo "${#lines[@]} ${lines[4]}"
trap gone=1 CHLD; sleep 0.1; trap - CHLD; echo "gone: ${gone-no}"
exec 5<>/dev/null; [ -e /dev/fd/5 ] && echo open; exec 5>&-; [ -e /dev/fd/5 ] || echo closed
echo "$(</proc/self/comm) ${FUNCNAME[0]-none} $SHLVL"
