# SPDX-License-Identifier: MIT OR Apache-2.0
# git from init to gc, with names and times that make every object's id known.
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='1000000000 +0000'
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org GIT_COMMITTER_DATE='1000000000 +0000'
export HOME=/tmp GIT_PAGER=cat
git config --global init.defaultBranch main
git config --global protocol.file.allow always
git init -q /tmp/repo && cd /tmp/repo || exit 1
mkdir dir; seq 1 500 >numbers; echo text >dir/file; ln -s numbers link; touch run; chmod +x run
git add . && git commit -qm 'first' && git log --stat --format='%H %an %s'
sed -i s/text/changed/ dir/file; git diff --stat; git status --short; git commit -qam 'second'
git checkout -q -b side HEAD~1; echo side >side; git add side; git commit -qm 'on the side'
git checkout -q main; git merge -q -m merged side; git log --oneline --graph
git tag -a v1 -m 'release' && git describe; git stash list; git blame -s dir/file | cut -c1-8
git mv numbers figures; git status --short; git reset -q --hard; git ls-tree -r HEAD
git archive HEAD | tar -tf - | sort; git grep -n changed; git bisect start -q HEAD HEAD~1 | tail -n 1; git bisect reset -q
git gc -q && git fsck --strict && git count-objects -v | grep -E 'count|in-pack|packs'
git clone -q /tmp/repo /tmp/copy && git clone -q --bare file:///tmp/repo /tmp/bare.git && cd /tmp/copy || exit 1
echo new >new; git add new; git commit -qm 'third'; git push -q ../bare.git HEAD:main; git -C ../bare.git log --oneline -n 1
git rebase -q HEAD~1 --exec 'git log -1 --format=%s' 2>/dev/null; git worktree add -q ../tree v1 && ls ../tree
printf '#!/bin/sh\necho hook ran\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
git commit -q --allow-empty -m hooked; git rev-parse HEAD
echo 'git: done'
