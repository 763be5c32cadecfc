package Jobs;
# What run.pl, ssh.pl, slurm.pl, queue.pl and pbs.pl share: Kaldi's calling convention, jobs on processes of this
# machine, the script of a job that runs elsewhere, and the report of those that failed.
use strict;
use warnings;
use Cwd qw(getcwd);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use POSIX qw(strftime WNOHANG);
use Time::HiRes qw(sleep);

our $program = basename($0);
# Told to every backend; a queue's configuration may know more.
our @known = qw(gpu mem num_threads num_nodes max_jobs_run name time config together);
our %signals = (INT => 2, TERM => 15, HUP => 1, USR1 => 10, USR2 => 12);
# What a job needs of the environment that run.sh made; schedulers differ in what they hand on.
my $carried = qr/^(PATH|LD_LIBRARY_PATH|LC_ALL|LANG|TORCH_HOME|LRU_CACHE_CAPACITY
    |(PYTHON|OMP_|MKL_|ONEDNN_|XLSRT_|HF_|NCCL_|GLOO_)\w*)$/x;

sub fail { print STDERR "$program: error: $_[0]\n"; exit 2; }

# Grid Engine's own options, which Kaldi's scripts let through, and how many words follow each.
my %native = ("-V" => 0, "-l" => 1, "-q" => 1, "-p" => 1, "-sync" => 1, "-pe" => 2);
# Commands of the shell that are no programs besides, or not in every system.
my $builtin = qr/^(?:[:.!]|source|set|export|unset|cd|pushd|popd|ulimit|umask|eval|exec|trap|shopt|declare|typeset
    |readonly|alias|read|wait|exit|type|command|builtin|let|time)$/x;

# The call: {name, first, last, log, command, options, native}; options by their names with underscores, native: words
# that are Grid Engine's own options.
sub parse_call {
    my (@words) = @_;
    my %call = (name => undef, first => 1, last => 1, options => {}, native => []);
    while (@words) {
        if ($words[0] =~ /^--([A-Za-z][\w-]*)$/) {
            (my $option = $1) =~ tr/-/_/;
            @words >= 2 or fail("$words[0] needs a value");
            $call{options}{$option} = $words[1];
            $call{spelt}{$option} = $words[0];
            splice(@words, 0, 2);
        } elsif ($words[0] eq "-tc") {
            @words >= 2 or fail("-tc needs a value");
            $call{options}{max_jobs_run} = $words[1];
            splice(@words, 0, 2);
        } elsif (exists $native{ $words[0] }) {
            push @{ $call{native} }, splice(@words, 0, 1 + $native{ $words[0] });
        } elsif ($words[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?$/) {
            @call{qw(name first last)} = ($1, $2, defined $3 ? $3 : $2);
            $call{last} >= $call{first} && $call{first} > 0 or fail("bad job range $words[0]");
            shift @words;
        } elsif ($words[0] =~ /^-/) {
            fail("unknown option $words[0]");
        } else {
            last;
        }
    }
    @words >= 2 or fail("usage: $program [options] [JOB=1:4] LOG COMMAND...");
    my $log = shift @words;
    @words = shell_line(@words);
    @call{qw(log command)} = ($log, \@words);
    my $several = $call{last} > $call{first};
    !$several || $call{log} =~ /\Q$call{name}\E/ or fail("jobs would share one log: put $call{name} into $call{log}");
    my $most = $call{options}{max_jobs_run};
    !defined $most || $most =~ /^\d+$/ or fail("--max-jobs-run $most: write a number");
    return \%call;
}

# The command as one line for bash where it needs a shell, as every command has one in Kaldi; else as it is. Pipes and
# redirections as words of their own are the shell's, so is a plain word with a semicolon behind it; a line may begin
# with a variable's value or a command of the shell. Every other word stays as it is, whatever is in it.
sub shell_line {
    my (@words) = @_;
    my $operator = qr/^(?:\|\|?|&&|;|<|&>>?|\d?>>?(?:&\d|[^&].*)?)\z/;
    my $plain = qr{[\w./:\@%,+=-]};
    my ($value, $ends) = (qr/^([A-Za-z_]\w*=)(.*)$/s, qr/^$plain+;\z/);
    return @words unless @words > 1 && ($words[0] =~ /$value|$builtin/ || grep { /$operator|$ends/ } @words);
    my $begins = 1; # a command: values stand before it
    my @line;
    for my $word (@words) {
        my $quoted = $word =~ /^$plain+\z|$operator|$ends/ ? $word : quoted($word);
        if ($begins && $word =~ $value && $quoted ne $word) { $quoted = $1 . quoted($2); }
        elsif ($begins && $word =~ $builtin) { $quoted = $word; }
        $begins = $word =~ /^(?:\|\|?|&&|;)$|;$/ || ($begins && $word =~ $value);
        push @line, $quoted;
    }
    return join(" ", @line);
}

# For backends without a configuration.
sub refuse_unknown_options {
    my ($call) = @_;
    for my $option (sort keys %{ $call->{options} }) {
        fail("unknown option $call->{spelt}{$option}") unless grep { $_ eq $option } @known;
    }
}

sub jobs { my ($call) = @_; return $call->{first} .. $call->{last}; }

sub log_of { my ($call, $job) = @_; return with_number($call, $call->{log}, $job); }

sub with_number {
    my ($call, $text, $job) = @_;
    $text =~ s/\Q$call->{name}\E/$job/g if defined $call->{name};
    return $text;
}

sub now { return strftime("%Y-%m-%d %H:%M:%S", localtime); }

# Run every job as a process of this machine and leave with Kaldi's exit code. $on{start}->($job) is called in the
# child and does not return, $on{before}->($job) before that in ours; $on{end}->($job, $status) when it is over; $on{signal}->($name, $job) tells a job a
# signal where killing our child would not; $most: jobs at a time (0: all).
sub run_here {
    my ($call, $most, %on) = @_;
    my (%running, %failed, $signal, $left);
    my $tell = sub {
        my ($caught) = @_;
        while (my ($pid, $job) = each %running) {
            $on{signal} ? $on{signal}->($caught, $job) : kill($caught, $pid);
        }
    };
    for my $caught (keys %signals) {
        $SIG{$caught} = sub { $signal = $caught; $tell->($caught); };
    }
    my $collect = sub {
        my $pid = waitpid(-1, 0);
        return unless $pid > 0 && exists $running{$pid};
        my ($job, $status) = (delete $running{$pid}, $?);
        $on{end}->($job, $status) if $on{end};
        return unless $status;
        $failed{$job} = "";
        $tell->("TERM") if truth($call->{options}{together});
    };
    for my $job (jobs($call)) {
        $collect->() while $most && keys %running >= $most;
        $left = $signal || (%failed && truth($call->{options}{together}));
        last if $left;
        $on{before}->($job) if $on{before};
        my $pid = fork();
        defined $pid or fail("cannot fork: $!");
        if ($pid == 0) {
            $SIG{$_} = "DEFAULT" for keys %signals;
            $on{start}->($job);
            POSIX::_exit(127);
        }
        $running{$pid} = $job;
    }
    $collect->() while %running;
    exit(128 + $signals{$signal}) if $left && $signal; # those that ran may all have ended well
    finish($call, \%failed, $signal);
}

sub truth { return defined $_[0] && $_[0] =~ /^(true|yes|1)$/; }

# Name the jobs that failed with the tails of their logs, and leave. %$failed: job -> what is known beside the log.
sub finish {
    my ($call, $failed, $signal) = @_;
    exit(128 + $signals{$signal}) if $signal && %$failed;
    exit 0 unless %$failed;
    for my $job (sort { $a <=> $b } keys %$failed) {
        my $file = log_of($call, $job);
        my $which = defined $call->{name} ? "job $job" : "job";
        print STDERR "$program: $which failed", ($failed->{$job} ? " ($failed->{$job})" : ""), ", the end of $file:\n";
        print STDERR tail($file);
    }
    my $all = $call->{last} - $call->{first} + 1;
    print STDERR "$program: ", scalar(keys %$failed), " of $all jobs failed\n" if defined $call->{name};
    exit 1;
}

sub tail {
    my ($file) = @_;
    open(my $handle, "<", $file) or return "(no log: $!)\n";
    my @lines = <$handle>;
    splice(@lines, 0, -20) if @lines > 20;
    return join("", @lines);
}

sub quoted { my ($text) = @_; $text =~ s/'/'\\''/g; return "'$text'"; }

# The text of a bash script that runs any of the call's jobs. $number: shell text of the job's number; $done: file
# that gets the exit code, with NUMBER in it; %$more: prologue, requeue (shell text that puts the job back into
# the queue after USR1 made it save and leave; it has failed if it returns).
sub script_of {
    my ($call, $number, $done, $more) = @_;
    my @command = @{ $call->{command} };
    # A single word is a shell command line, as in Kaldi.
    @command = ("bash", "-c", @command) if @command == 1;
    my $exports = join("", map { "export $_=" . quoted($ENV{$_}) . "\n" } grep { /$carried/ } sort keys %ENV);
    my $name = defined $call->{name} ? $call->{name} : "";
    my $replace = $name ? "words=(\"\${words[\@]//$name/\$number}\") log=\${log//$name/\$number}" : "";
    my $requeue = $more->{requeue} ? "$more->{requeue} && exit 0" : ":";
    return <<"EOF_SCRIPT";
#!/usr/bin/env bash
# Written by $program.
${exports}cd @{[quoted(getcwd())]} || exit 1
@{[$more->{prologue} || ""]}
number=$number
words=(@{[join(" ", map { quoted($_) } @command)]})
log=@{[quoted($call->{log})]} done=@{[quoted($done)]}
$replace
done=\${done//NUMBER/\$number}
mkdir -p "\$(dirname "\$log")"
exec >>"\$log" 2>&1 </dev/null
say() { echo "# \$(date '+%Y-%m-%d %H:%M:%S') \$*"; }
stopped= child=
for name in TERM USR1 INT; do trap "stopped=\$name; kill -\$name \\\$child 2>/dev/null" \$name; done
trap "stopped=USR1; kill -USR1 \\\$child 2>/dev/null" USR2 # Grid Engine's before a limit of time
say "on \$(hostname): \${words[*]}"
"\${words[\@]}" & child=\$!
[ -z "\$stopped" ] || kill -\$stopped \$child
# A signal ends wait, not the command.
wait \$child; code=\$?
while [ \$code -gt 128 ] && kill -0 \$child 2>/dev/null; do wait \$child; code=\$?; done
say "ended with code \$code\${stopped:+ after signal \$stopped}"
if [ "\$stopped" = USR1 ] && [ \$code -gt 128 ]; then
  say "saved; back into the queue"
  $requeue
fi
# After a cancelling signal the scheduler alone knows whether the job is over or will run again.
if [ -z "\$stopped" ] || [ "\$stopped" = USR1 ] || [ \$code = 0 ]; then
  echo \$code >"\$done.new" && mv "\$done.new" "\$done"
fi
exit \$code
EOF_SCRIPT
}

sub write_file {
    my ($file, $text) = @_;
    make_path(dirname($file));
    open(my $handle, ">", "$file.new") or fail("cannot write $file: $!");
    print $handle $text;
    close($handle) && rename("$file.new", $file) or fail("cannot write $file: $!");
}

sub read_file {
    my ($file) = @_;
    open(my $handle, "<", $file) or return undef;
    local $/;
    return <$handle>;
}

1;
