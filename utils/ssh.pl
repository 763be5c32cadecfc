#!/usr/bin/env perl
# Run a command, once or as numbered jobs, on machines that ssh reaches without a password; Kaldi's calling convention:
#
#   ssh.pl [--max-jobs-run N] [--together true] [JOB=1:4] LOG COMMAND...
#
# .queue/machines in the working directory names the machines, one a line; one that is named twice takes two jobs at
# a time, which find 0 and 1 in XLSRT_SLOT. The working directory, this recipe and its environment must lie at the same place on each. Exit code 1 when
# a job fails, with the tail of its log. Ends its jobs when it is ended; --together true: also when one fails.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Jobs;
use Cwd qw(getcwd);
use File::Basename qw(dirname);

my $call = Jobs::parse_call(@ARGV);
Jobs::refuse_unknown_options($call);
my $list = ".queue/machines";
my $text = Jobs::read_file($list);
defined $text or Jobs::fail("$list is missing: name the machines in it, one a line");
my @machines = grep { /\S/ && !/^\s*#/ } split(/\n/, $text);
s/^\s+|\s+$//g for @machines;
@machines or Jobs::fail("$list names no machine");
my $jobs = $call->{last} - $call->{first} + 1;
my $together = Jobs::truth($call->{options}{together});
!$together || $jobs <= @machines or Jobs::fail("$jobs jobs together need as many lines in $list, which has " . @machines);
my $most = $call->{options}{max_jobs_run} || @machines;
$most = @machines if $most > @machines;

my $base = getcwd() . "/" . Jobs::log_of($call, $call->{first});
$base = Jobs::log_of($call, $call->{first}) if $call->{log} =~ m{^/};
$base = dirname($base) . "/q/ssh.$$";
# A job that is told to end before its number is known finds the other file.
my $prologue = "export XLSRT_SLOT=\$2; echo \$\$ >'$base.pid.'\$1; [ ! -e '$base.stop' ] || exit 143";
Jobs::write_file("$base.sh", Jobs::script_of($call, '$1', "$base.done.NUMBER", { prologue => $prologue }));
my (@free, %at);
@free = 0 .. $#machines;

# Which of a machine's lines, from 0: its jobs share its GPUs by it.
sub slot { my ($line) = @_; return scalar grep { $_ eq $machines[$line] } @machines[0 .. $line - 1]; }

sub start {
    my ($job) = @_;
    open(STDIN, "<", "/dev/null");
    # Without a terminal sshd ends nothing when the connection closes: signals go by the process number instead.
    exec("ssh", "-o", "BatchMode=yes", $machines[$at{$job}], "bash '$base.sh' $job " . slot($at{$job}));
}

sub tell {
    my ($name, $job) = @_;
    Jobs::write_file("$base.stop", "") if $name ne "USR1";
    my $pid = Jobs::read_file("$base.pid.$job");
    return unless defined $pid && $pid =~ /^(\d+)$/m;
    system("ssh", "-n", "-o", "BatchMode=yes", $machines[$at{$job}], "kill -$name $1");
}

sub end { my ($job) = @_; push @free, $at{$job}; }

Jobs::run_here($call, $most, before => sub { $at{ $_[0] } = shift @free; }, start => \&start, end => \&end, signal => \&tell);
