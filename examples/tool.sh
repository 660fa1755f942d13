#!/bin/sh
# Makes ./longest, which prints the longest line of the files it is given, of the
# image in $1, and tries it on a file of this directory.
set -eu
image=${1:?usage: tool.sh IMAGE}

# With --cli all arguments are the program's, and the current directory is its own.
program='{ if (length($0) > length(longest)) longest = $0 } END { print longest }'
elfuse-bundle "$image" --cli --entrypoint "[\"/bin/busybox\", \"awk\", \"$(
    printf '%s' "$program" | sed 's/"/\\"/g'
)\"]" --quiet -o longest

printf 'a line\na longer line\nend\n' > notes.txt
elfuse-bundle run ./longest notes.txt
