# SPDX-License-Identifier: MIT OR Apache-2.0
# Writes a Berkeley DB database of rpm as Berkeley DB itself does, with the
# headers that `rpmdb --exportdb` gives on standard input:
# rpm_berkeley.pl FILE PAGE-SIZE little|big
use strict;
use warnings;
use DB_File;
use Fcntl;

my ($file, $page_size, $order) = @ARGV;
my ($word, $lorder) = $order eq "big" ? ("N", 4321) : ("V", 1234);
my $info = DB_File::HASHINFO->new;
$info->{bsize} = $page_size;
$info->{lorder} = $lorder;
tie my %database, "DB_File", $file, O_RDWR | O_CREAT, 0644, $info or die "$file: $!";
binmode STDIN;
my $number = 0;
# An exported header begins with a magic number that one in the database has not.
while (read(STDIN, my $start, 16) == 16) {
    my ($magic, undef, $count, $length) = unpack "N4", $start;
    die "no header" unless $magic == 0x8eade801;
    read(STDIN, my $rest, 16 * $count + $length) == 16 * $count + $length or die "cut short";
    $database{pack $word, ++$number} = substr($start, 8) . $rest;
}
# What was removed leaves holes and free pages.
$database{pack $word, $number + $_} = "x" x (1000 * $_) for 1 .. 9;
delete $database{pack $word, $number + $_} for 1 .. 9;
$database{pack $word, 0} = pack $word, $number;
untie %database;
