#!/bin/sh
# Makes ./shell, a shell with busybox's programs, of the image in $1, and tries it.
set -eu
image=${1:?usage: shell.sh IMAGE}

elfuse-bundle "$image" --entrypoint /bin/busybox --cmd sh --quiet -o shell
elfuse-bundle verify shell

# What follows the file is its options, then the command: as with docker run.
elfuse-bundle run ./shell -e NAME=Mac sh -c 'echo "hello, $NAME, from $(uname -s) on $(uname -m)"'

# The image never changes; what is written goes away, or stays under a name.
elfuse-bundle run ./shell --persist notes sh -c 'echo kept > /note'
elfuse-bundle run ./shell --persist notes cat /note
elfuse-bundle run ./shell --persist notes --rm-persist true
