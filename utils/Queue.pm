package Queue;
# What slurm.pl, queue.pl and pbs.pl share: Kaldi's configuration files, submitting, waiting, cancelling.
use strict;
use warnings;
use Cwd qw(realpath);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use FindBin;
use Jobs;
use Text::ParseWords qw(shellwords);
use Time::HiRes qw(sleep time);

# Seconds between two questions to the scheduler about jobs that have not said how they ended.
my $poll = $ENV{XLSRT_QUEUE_POLL_SECONDS} || 10;
# A job must be missing from so many answers in a row: files of other machines arrive late.
my $patience = 3;
# Asked at once: a starter that is killed while jobs are being submitted is missed too.
my $starter = getppid();

# Lines of Kaldi's configuration: `command WORDS`, `default NAME=VALUE`, `option NAME=VALUE WORDS`, where VALUE *
# stands for any other value and $0 in WORDS for that value. A later file's option replaces that of an earlier one.
sub read_configs {
    my %conf = (command => "", default => {}, option => {});
    for my $file (@_) {
        my %fresh;
        my $text = Jobs::read_file($file);
        defined $text or Jobs::fail("cannot read $file: $!");
        my $number = 0;
        for my $line (split /\n/, $text) {
            $number++;
            $line =~ s/(^|\s)#.*//;
            next unless $line =~ /\S/;
            if ($line =~ /^\s*command\s+(\S.*?)\s*$/) {
                $conf{command} = $1;
            } elsif ($line =~ /^\s*default\s+(\w+)=(\S+)\s*$/) {
                $conf{default}{$1} = $2;
            } elsif ($line =~ /^\s*option\s+([\w-]+)=(\S+)\s*(.*?)\s*$/) {
                my ($name, $value, $words) = ($1, $2, $3);
                $name =~ tr/-/_/;
                $conf{option}{$name} = {} unless $fresh{$name}++;
                $conf{option}{$name}{$value} = $words;
            } else {
                Jobs::fail("$file line $number: not 'command ...', 'default NAME=VALUE' or 'option NAME=VALUE ...'");
            }
        }
    }
    $conf{command} or Jobs::fail("$_[-1]: there is no line 'command ...'");
    return \%conf;
}

# The scheduler's words for options: those of the call over the defaults.
sub words_for {
    my ($conf, $file, %options) = @_;
    my @words;
    %options = (%{ $conf->{default} }, %options);
    for my $name (sort keys %options) {
        my ($value, $known) = ($options{$name}, $conf->{option}{$name});
        my $text = $known && (exists $known->{$value} ? $known->{$value} : $known->{"*"});
        defined $text or Jobs::fail("$file has no line for $name=$value: add 'option $name=* ...' (see docs/clusters.md)");
        $text =~ s/\$0/$value/g;
        push @words, shellwords($text);
    }
    return @words;
}

# Grid Engine takes one parallel environment, the last that it is told. The first stays: your own, else that of the
# nodes (ESPnet's launcher asks for threads beside them), else that of the threads.
sub with_one_pe {
    my @words = @_;
    my (@kept, $seen);
    while (@words) {
        my @next = splice(@words, 0, $words[0] eq "-pe" ? 3 : 1);
        push @kept, @next unless $next[0] eq "-pe" && $seen++;
    }
    return @kept;
}

# Submit the call and wait. The backend: conf (name of its configuration), native (whether it takes Grid Engine's own
# options), variable (shell text of an array task's number), id (pattern of the answer to a submission), output (words
# that name the file of what the scheduler itself writes), list->($id) (undef when the scheduler does not answer, else
# task -> state for what it knows), over (pattern of the states of jobs that have ended or will not run), cancel (words
# before an id), requeue, prologue (shell text).
sub run_queued {
    my (%backend) = @_;
    my $call = Jobs::parse_call(@ARGV);
    my %options = %{ $call->{options} };
    my @native = @{ $call->{native} };
    !@native || $backend{native} or Jobs::fail("unknown option $native[0]: it is Grid Engine's; use --mem, --gpu, --num-threads");
    my $file = $options{config};
    my $default = "$FindBin::Bin/../conf/$backend{conf}";
    my @files = ($default);
    if (!defined $file && -f "conf/$backend{conf}" && realpath("conf/$backend{conf}") ne realpath($default)) {
        $file = "conf/$backend{conf}";
    }
    push @files, $file if defined $file;
    my $conf = read_configs(@files);
    my $together = Jobs::truth($options{together});
    delete @options{qw(config together)};

    my $log_dir = dirname(Jobs::log_of($call, $call->{first}));
    my $name = basename($call->{log});
    $name =~ s/\Q$call->{name}\E/all/g if defined $call->{name};
    my $base = "$log_dir/q/$name";
    make_path("$log_dir/q");
    my $array = $call->{last} > $call->{first};
    (my $title = $options{name} || basename($name, ".log")) =~ s/[^\w.-]/_/g;
    $options{name} = $title =~ /^\d/ ? "j$title" : $title;
    if ($array) {
        my $most = $options{max_jobs_run};
        my $limit = $most && $backend{limit} ? $backend{limit} . $most : "";
        $options{array} = "$call->{first}-$call->{last}$limit";
    }
    delete $options{max_jobs_run} if !$array || $backend{limit} || !$options{max_jobs_run};
    my ($submit, @rest) = shellwords($conf->{command});
    my @words = words_for($conf, $files[-1], %options);
    my @command = with_one_pe($submit, @rest, @native, $backend{output}->("$base.out"), @words);
    grep { -x "$_/$submit" } ($submit =~ m{/} ? "" : split(/:/, $ENV{PATH}))
        or Jobs::fail("$submit is not found: is this a machine that may submit jobs? cmd_backend=local runs them here");

    my $number = $array ? $backend{variable} : $call->{first};
    Jobs::write_file("$base.sh", Jobs::script_of($call, $number, "$base.done.NUMBER", \%backend));
    chmod 0755, "$base.sh";
    my ($signal, $id);
    local @SIG{ keys %Jobs::signals } = map { my $caught = $_; sub { $signal ||= $caught } } keys %Jobs::signals;
    end_predecessor(\%backend, $base);
    unlink(glob_done($base));

    my ($code, $answer) = ask(@command, "$base.sh");
    if ($code != 0 || $answer !~ $backend{id}) {
        print STDERR "$Jobs::program: error: @command $base.sh failed:\n$answer";
        exit 2;
    }
    $id = $1;
    Jobs::write_file("$base.job", "$id\n");
    print STDERR "$Jobs::program: submitted job $id ($options{name}", ($array ? ", tasks $options{array}" : ""), ")\n";

    my %failed = watch($call, \%backend, $base, $id, $array, $together, \$signal);
    if ($signal) {
        cancel(\%backend, $id);
        $failed{ $call->{first} } ||= "ended by SIG$signal";
    }
    unlink "$base.job" if (Jobs::read_file("$base.job") || "") eq "$id\n";
    tell_scheduler_output($base) if %failed && !$signal;
    Jobs::finish($call, \%failed, $signal);
}

# Wait for the files that the jobs leave; job -> reason of those that failed.
sub watch {
    my ($call, $backend, $base, $id, $array, $together, $signal) = @_;
    my %waiting = map { $_ => 0 } Jobs::jobs($call);
    my (%failed, $silent);
    my ($pause, $asked) = (0.05, time);
    while (%waiting && !$$signal) {
        # Whoever started us was killed: what it started must not go on unseen.
        $$signal = "TERM" if getppid() != $starter;
        sleep $pause;
        $pause = $pause * 1.5 > 2 ? 2 : $pause * 1.5;
        my %codes = done_codes($base);
        for my $job (grep { exists $codes{$_} } keys %waiting) {
            delete $waiting{$job};
            $failed{$job} = "exit code $codes{$job}" if $codes{$job};
        }
        if (%failed && $together && %waiting) {
            cancel($backend, $id);
            last;
        }
        next if !%waiting || time - $asked < $poll;
        $asked = time;
        my $states = $backend->{list}->($id);
        if (!defined $states) {
            print STDERR "$Jobs::program: the scheduler does not answer; waiting for job $id\n" unless $silent++;
            next;
        }
        $silent = 0;
        for my $job (keys %waiting) {
            my $state = $array && exists $states->{$job} ? $states->{$job} : $states->{all};
            if (defined $state && $state !~ $backend->{over}) {
                $waiting{$job} = 0;
            } elsif (++$waiting{$job} >= $patience) {
                delete $waiting{$job};
                $failed{$job} = defined $state ? "the scheduler says $state" : "gone from the queue without an exit code: "
                    . "cancelled, out of time or memory, or its node failed";
                system(@{ $backend->{cancel} }, $id) if defined $state && !$array && $state !~ $backend->{ended};
            }
        }
    }
    return %failed;
}

# A job on the same log that an earlier run left behind would write to the same files as ours.
sub end_predecessor {
    my ($backend, $base) = @_;
    my $id = Jobs::read_file("$base.job");
    return unless defined $id && $id =~ /^(\S+)$/m;
    $id = $1;
    my $states = $backend->{list}->($id);
    return if defined $states && !grep { $_ !~ $backend->{over} } values %$states;
    print STDERR "$Jobs::program: job $id of an earlier run is still there: cancelling it\n";
    cancel($backend, $id);
}

# Cancel a job and wait until the scheduler has ended it, so that what it saves is whole when we return.
sub cancel {
    my ($backend, $id) = @_;
    my ($code, $answer) = ask(@{ $backend->{cancel} }, $id);
    my $end = time + 120;
    while (time < $end) {
        my $states = $backend->{list}->($id);
        return if defined $states && !grep { $_ !~ $backend->{over} } values %$states;
        sleep($poll < 1 ? $poll : 1);
    }
    print STDERR "$Jobs::program: error: job $id is still there after cancelling it: $answer\n";
}

sub done_codes {
    my ($base) = @_;
    my %codes;
    for my $file (glob_done($base)) {
        my $text = Jobs::read_file($file);
        $codes{$1} = $2 if defined $text && "$file\n$text" =~ /\.done\.(\d+)\n(\d+)\n/;
    }
    return %codes;
}

# Read from the directory, which makes a network file system look again.
sub glob_done {
    my ($base) = @_;
    opendir(my $handle, dirname($base)) or return ();
    my $name = basename($base);
    return map { dirname($base) . "/$_" } grep { /^\Q$name\E\.done\.\d+$/ } readdir($handle);
}

sub tell_scheduler_output {
    my ($base) = @_;
    print STDERR "$Jobs::program: $base.out says:\n", Jobs::tail("$base.out") if -s "$base.out";
}

# A command's exit code and what it printed, both streams together.
sub ask {
    my (@command) = @_;
    my $pid = open(my $handle, "-|");
    defined $pid or Jobs::fail("cannot fork: $!");
    if ($pid == 0) {
        # A Ctrl-C is for us to handle.
        setpgrp(0, 0);
        open(STDERR, ">&", \*STDOUT);
        exec { $command[0] } @command or do { print "$command[0]: $!\n"; POSIX::_exit(127); };
    }
    my $text = join("", <$handle>);
    close($handle);
    return ($? >> 8, $text);
}

1;
