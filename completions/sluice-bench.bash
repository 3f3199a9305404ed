# SPDX-License-Identifier: Apache-2.0
# bash completion of sluice-bench

# Names of sets, benchmarks or ways, as the command lists them: $1 is the first word of the table's head.
_sluice_bench_names()
{
	sluice-bench list 2>/dev/null | awk -v head="$1" '
		NF == 0 { on = 0 } on { print $1 } $1 == head { on = 1 }'
}

_sluice_bench()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} before=

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "list run show compare --help --version" -- "$cur")
		return
	fi
	case $prev in
	-o | --output | --sluice | --html)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--build | --cache | --work)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--ways)
		[[ $cur == *,* ]] && before=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$before" -W "$(_sluice_bench_names way)" -- "${cur##*,}")
		return
		;;
	--rounds | --jobs | --label | --with) return ;;
	esac
	case ${COMP_WORDS[1]} in
	run)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--output --rounds --quick --ways --with --jobs --cache \
				--dry-run --work --label --build --sluice --quiet --help" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_sluice_bench_names set) \
				$(_sluice_bench_names benchmark)" -- "$cur")
		fi
		;;
	show | compare)
		if [[ $cur == -* ]]; then
			local options=--help

			[ "${COMP_WORDS[1]}" = compare ] && options+=" --html --ways"
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -X '!*.json' -- "$cur"; compgen -d -- "$cur")
		fi
		;;
	esac
}

complete -F _sluice_bench sluice-bench
