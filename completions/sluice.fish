# SPDX-License-Identifier: Apache-2.0
# fish completion of sluice

function __sluice_profiles
    printf '%s\n' none base build credentials open
    for f in ~/.config/sluice/*.policy
        basename $f .policy
    end
end

# Are the options of `sluice run` still being typed, and not yet the command?
function __sluice_before_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] run trace; or return 1
    set -l skip 0
    for w in $words[3..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $w
            case -p --allow --ask --deny --never --report --layers --prompt --prompt-timeout \
                --on-death --record --stats --name --workers --backend --gate -o --undeclared --from
                set skip 1
            case --
                return 1
            case '-*'
                continue
            case '*'
                return 1
        end
    end
    return 0
end

# What follows the options of `sluice run`.
function __sluice_command
    set -l words (commandline -opc) (commandline -ct)
    set -l at 3
    while test $at -lt (count $words)
        switch $words[$at]
            case -p --allow --ask --deny --never --report --layers --prompt --prompt-timeout \
                --on-death --record --stats --name --workers --backend --gate -o --undeclared --from
                set at (math $at + 2)
            case --
                set at (math $at + 1)
                break
            case '-*'
                set at (math $at + 1)
            case '*'
                break
        end
    end
    set -l line ''
    if test $at -lt (count $words)
        set line (string join ' ' -- (string escape -- $words[$at..-2]))' '
    end
    complete -C $line$words[-1]
end

function __sluice_rules
    set -l word (commandline -ct)
    if string match -q '*:*' -- $word
        set -l parts (string split -m 1 : -- $word)
        for f in (__fish_complete_path $parts[2])
            printf '%s:%s\n' $parts[1] $f
        end
    else
        printf '%s:\n' ro rx rw w all read list write create delete exec meta stat connect bind
    end
end

set -l explain '__fish_seen_subcommand_from explain; and not __fish_seen_subcommand_from run'
set -l policy "__sluice_before_command; or begin; $explain; end"
set -l run "__sluice_before_command; and __fish_seen_subcommand_from run"
set -l trace "__sluice_before_command; and __fish_seen_subcommand_from trace"

complete -c sluice -f
complete -c sluice -n __fish_use_subcommand -a run -d 'Run a command under a policy'
complete -c sluice -n __fish_use_subcommand -a explain -d 'Say what a policy decides'
complete -c sluice -n __fish_use_subcommand -a trace -d 'Say what a command touches'
complete -c sluice -n __fish_use_subcommand -a learn -d 'Make a policy of records'
complete -c sluice -n __fish_use_subcommand -a log -d 'Show what is in a record'
complete -c sluice -n __fish_use_subcommand -a ask -d 'Answer the questions of all runs'
complete -c sluice -n __fish_use_subcommand -a ps -d 'List what runs'
complete -c sluice -n __fish_use_subcommand -a rule -d 'List, add and remove rules of a run'
complete -c sluice -n __fish_use_subcommand -a doctor -d 'Say what this kernel can do'
complete -c sluice -n __fish_use_subcommand -a help -d 'The options of a command'
complete -c sluice -n __fish_use_subcommand -l version -d 'Show the version'
complete -c sluice -n __fish_use_subcommand -l help -d 'Show help'
complete -c sluice -n $policy -l help -d 'Show help'

complete -c sluice -n $policy -s p -x -a '(__sluice_profiles)' -d 'The policy: a profile or a file'
complete -c sluice -n $policy -l allow -x -a '(__sluice_rules)' -d 'Add a rule for this run'
complete -c sluice -n $policy -l ask -x -a '(__sluice_rules)' -d 'Add a rule for this run'
complete -c sluice -n $policy -l deny -x -a '(__sluice_rules)' -d 'Add a rule for this run'
complete -c sluice -n $policy -l never -x -a '(__sluice_rules)' -d 'Add a rule for this run'
complete -c sluice -n $policy -l report -x -a 'all writes none' -d 'Which refusals to watch'
complete -c sluice -n $policy -l layers -x -a 'auto emulate' -d 'Who enforces'

complete -c sluice -n $run -l prompt -x -a 'tty socket none exec:' -d 'Who answers ask rules'
complete -c sluice -n $run -l prompt-timeout -x -d 'Seconds until a question is a no'
complete -c sluice -n $run -l on-death -x -a 'warden ptrace' -d 'Who ends the command when sluice dies'
complete -c sluice -n $run -l record -r -F -d 'Write each access as a line of JSON'
complete -c sluice -n $run -l stats -r -F -d 'Write counters as JSON'
complete -c sluice -n $run -l name -x -d 'What to call this run'
complete -c sluice -n $run -l fail-denied -d 'Exit 1 if something was refused'
complete -c sluice -n $run -l workers -x -d 'At most so many threads'
complete -c sluice -n $run -l backend -x -a 'auto uring epoll' -d 'How to wait'
complete -c sluice -n $run -l gate -x -a 'on off' -d 'Open unasked what the kernel grants'
complete -c sluice -n $run -s v -d 'Show the whole summary'
complete -c sluice -n $run -s q -d 'Show no summary'

complete -c sluice -n $trace -l inputs -d 'Files read or executed'
complete -c sluice -n $trace -l outputs -d 'What was made or changed'
complete -c sluice -n $trace -l missing -d 'Names looked for in vain'
complete -c sluice -n $trace -l undeclared -r -F -d 'Inputs that are not in this list'
complete -c sluice -n $trace -l system -d 'Undeclared files of the system, too'
complete -c sluice -n $trace -l fail-undeclared -d 'Exit 1 if an input is not declared'
complete -c sluice -n $trace -s o -r -F -d 'Write there'
complete -c sluice -n $trace -l json -d 'JSON lines'
complete -c sluice -n $trace -s 0 -d 'Exact names and NULs'
complete -c sluice -n $trace -s v -d 'A digest with all names'
complete -c sluice -n $trace -l record -r -F -d 'Keep the record'
complete -c sluice -n $trace -l from -r -F -d 'Tell of a recorded run'
complete -c sluice -n $trace -l name -x -d 'What to call this run'

complete -c sluice -n '__fish_seen_subcommand_from run trace' -a '(__sluice_command)'
complete -c sluice -n $explain -s v -d 'Show all'
complete -c sluice -n $explain -l plan -d 'Which layer enforces each rule'
complete -c sluice -n $explain -a 'read list write create delete exec meta stat connect bind'
complete -c sluice -n $explain -F
complete -c sluice -n '__fish_seen_subcommand_from help' -a 'run explain trace learn log ask ps rule doctor'
set -l learn '__fish_seen_subcommand_from learn; and not __fish_seen_subcommand_from run trace'
complete -c sluice -n $learn -s o -r -F -d 'Write there'
complete -c sluice -n $learn -l incomplete -d 'Take records that are not complete'
complete -c sluice -n $learn -F
complete -c sluice -n '__fish_seen_subcommand_from ps; and not __fish_seen_subcommand_from run' -l json -d 'The status of each run as JSON'
set -l rule '__fish_seen_subcommand_from rule; and not __fish_seen_subcommand_from run trace'
complete -c sluice -n "$rule; and not __fish_seen_subcommand_from list add remove" -a 'list add remove'
complete -c sluice -n "$rule; and __fish_seen_subcommand_from list" -l json -d 'As JSON'
complete -c sluice -n "$rule; and __fish_seen_subcommand_from list add remove" -a "(sluice ps 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c sluice -n "$rule; and __fish_seen_subcommand_from add" -a 'allow ask deny never'
complete -c sluice -n "$rule; and __fish_seen_subcommand_from allow ask deny never" -F
complete -c sluice -n '__fish_seen_subcommand_from doctor' -l json -d 'One JSON object'

set -l log '__fish_seen_subcommand_from log; and not __fish_seen_subcommand_from run'
complete -c sluice -n $log -l type -x -a 'start access exec fork exit ask lost end' -d 'Lines of this type'
complete -c sluice -n $log -l verdict -x -a 'allow deny missing' -d 'What became of it'
complete -c sluice -n $log -l op -x -a 'read list write create delete exec meta stat connect bind ro rx w rw all' -d 'Operations'
complete -c sluice -n $log -l path -r -F -d 'A path with all beneath it, or a pattern'
complete -c sluice -n $log -l exe -r -F -d 'The program'
complete -c sluice -n $log -l pid -x -d 'A process'
complete -c sluice -n $log -l descendants -d 'And all that it started'
complete -c sluice -n $log -l rule -x -d 'Decided by this rule'
complete -c sluice -n $log -l since -x -d 'Not earlier'
complete -c sluice -n $log -l until -x -d 'Not later'
complete -c sluice -n $log -l group -x -a 'path dir exe op rule' -d 'Count'
complete -c sluice -n $log -s f -l follow -d 'Go on as the file grows'
complete -c sluice -n $log -l json -d 'The lines as they are'
complete -c sluice -n $log -l html -r -F -d 'Write a page'
complete -c sluice -n $log -l help -d 'Show help'
complete -c sluice -n $log -F
