# SPDX-License-Identifier: MIT OR Apache-2.0
# What Perl's library asks of a kernel.
use strict; use warnings; use POSIX qw(:sys_wait_h floor); use IO::Socket::UNIX; use Socket;
use Time::HiRes qw(sleep); use File::Temp qw(tempdir); use Fcntl qw(:flock); use Digest::SHA qw(sha256_hex);
$| = 1;
my $dir = tempdir(CLEANUP => 1); chdir $dir or die; umask 022;
open(my $out, '>', 'f') or die; print $out "line $_\n" for 1 .. 1000; close $out;
open(my $in, '<', 'f') or die; my @lines = <$in>; print scalar(@lines), " $lines[999]"; close $in;
print join(',', map { sprintf '%s=%d', $_, -s $_ } glob('*')), "\n";
print sha256_hex(join '', @lines), ' ', join(' ', sort { $b <=> $a } 3, 20, 100), "\n";
my $pid = fork; exit 7 if !$pid; waitpid $pid, 0; print 'exit ', $? >> 8, "\n";
print `echo from a shell; exit 2`, $? >> 8, "\n"; system('kill -TERM $$'); print 'signal ', $? & 127, "\n";
open(my $pipe, '-|', 'seq 5 | sort -r') or die; print map { chomp; "$_ " } <$pipe>; close $pipe; print "\n";
open($pipe, '|-', 'tr a-z A-Z') or die; print $pipe "upper\n"; close $pipe;
local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; sleep 20; }; print $@;
local $SIG{CHLD} = sub { 1 while waitpid(-1, WNOHANG) > 0; print "reaped\n" };
if (!($pid = fork)) { exit 0 } sleep 0.2 for 1 .. 3;
$SIG{CHLD} = 'DEFAULT'; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
syswrite $a, 'through a socket'; sysread $b, my $text, 99; print "$text\n";
my $server = IO::Socket::UNIX->new(Local => 's', Listen => 1) or die "listen: $!";
if (!($pid = fork)) { my $c = IO::Socket::UNIX->new(Peer => 's') or die; print $c "hello\n"; exit 0 }
print $server->accept->getline; waitpid $pid, 0;
open(my $lock, '>', 'lock') or die; flock $lock, LOCK_EX; 
if (!($pid = fork)) { open(my $l, '>', 'lock'); print flock($l, LOCK_EX | LOCK_NB) ? "free\n" : "held\n"; exit 0 }
waitpid $pid, 0; my @stat = stat 'f'; printf "%o %d\n", $stat[2], $stat[7]; utime 1e9, 1e9, 'f'; print ((stat 'f')[9], "\n");
mkdir 'd'; rename 'f', 'd/f'; symlink 'd/f', 'l'; print readlink 'l', ' ', -l 'l' ? 'link' : '', "\n"; opendir(my $d, '.') or die;
print join(' ', sort grep { !/^\./ } readdir $d), "\n"; select undef, undef, undef, 0.05; printf "%.1f %s\n", floor(2.7), POSIX::ttyname(0) // 'no terminal';
exec 'echo', 'replaced';
