# SPDX-License-Identifier: Apache-2.0
# fish completion of sluice-bench

# Names as the command lists them: $argv[1] is the first word of the table's head.
function __sluice_bench_names
    sluice-bench list 2>/dev/null | awk -v head=$argv[1] 'NF == 0 { on = 0 } on { print $1 } $1 == head { on = 1 }'
end

set -l run '__fish_seen_subcommand_from run'
set -l compare '__fish_seen_subcommand_from compare'

complete -c sluice-bench -f
complete -c sluice-bench -n __fish_use_subcommand -a list -d 'The benchmarks, sets and ways'
complete -c sluice-bench -n __fish_use_subcommand -a run -d 'Measure'
complete -c sluice-bench -n __fish_use_subcommand -a show -d 'The table of a result'
complete -c sluice-bench -n __fish_use_subcommand -a compare -d 'Results against each other'
complete -c sluice-bench -n __fish_use_subcommand -l version -d 'Show the version'
complete -c sluice-bench -l help -d 'Show help'

complete -c sluice-bench -n $run -a '(__sluice_bench_names set; __sluice_bench_names benchmark)'
complete -c sluice-bench -n $run -s o -l output -r -F -d 'The result'
complete -c sluice-bench -n $run -l rounds -x -d 'How often each way is measured'
complete -c sluice-bench -n $run -l quick -d 'Little of everything'
complete -c sluice-bench -n $run -l ways -x -a '(__sluice_bench_names way)' -d 'Only these ways'
complete -c sluice-bench -n $run -l with -x -d 'One more way: NAME=WORDS'
complete -c sluice-bench -n $run -l jobs -x -d 'make -jN in builds'
complete -c sluice-bench -n $run -l cache -x -a '(__fish_complete_directories)' -d 'Keeps what builds have fetched'
complete -c sluice-bench -n $run -l work -x -a '(__fish_complete_directories)' -d 'Where trees are built'
complete -c sluice-bench -n $run -l dry-run -d 'Only say what would be measured'
complete -c sluice-bench -n $run -l label -x -d 'What to call this result'
complete -c sluice-bench -n $run -l build -x -a '(__fish_complete_directories)' -d 'A build directory of sluice'
complete -c sluice-bench -n $run -l sluice -r -F -d 'The sluice to measure'
complete -c sluice-bench -n $run -s q -l quiet -d 'No progress'

complete -c sluice-bench -n '__fish_seen_subcommand_from show' -F
complete -c sluice-bench -n $compare -F
complete -c sluice-bench -n $compare -l html -r -F -d 'Write a page with plots'
complete -c sluice-bench -n $compare -l ways -x -a '(__sluice_bench_names way)' -d 'Only these ways'
