# SPDX-License-Identifier: Apache-2.0
# bash completion of sluice

# Profiles: the built-in ones and the user's own.
_sluice_profiles()
{
	local f
	printf '%s\n' none base build credentials open
	for f in ~/.config/sluice/*.policy; do
		[[ -e $f ]] || continue
		f=${f##*/}
		printf '%s\n' "${f%.policy}"
	done
}

# The value of --allow and its kin: OPS:TARGET.
_sluice_rule()
{
	local ops=${1%%:*} target=${1#*:}

	if [[ $1 != *:* ]]; then
		compopt -o nospace
		mapfile -t COMPREPLY < <(compgen -S : -W "ro rx rw w all read list write create delete exec meta stat connect bind" -- "$1")
		return
	fi
	compopt -o nospace -o filenames
	# Where bash splits words at ":", only what follows it is replaced.
	if [[ $COMP_WORDBREAKS == *:* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$target")
	else
		mapfile -t COMPREPLY < <(compgen -P "$ops:" -f -- "$target")
	fi
}

# Does the option $1 take a value?
_sluice_has_value()
{
	case $1 in
	-p | --allow | --ask | --deny | --never | --report | --layers | --prompt | --prompt-timeout) ;;
	--on-death | --record | --stats | --name | --workers | --backend | --gate) ;;
	-o | --undeclared | --from) ;;
	--type | --verdict | --op | --path | --exe | --pid | --rule | --since | --until | --group | --html) ;;
	*) return 1 ;;
	esac
}

# Values of the option $1 that begin with $2.
_sluice_value()
{
	local words=

	case $1 in
	-p)
		if [[ $2 == */* ]]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$2")
			return
		fi
		words=$(_sluice_profiles)
		;;
	--allow | --ask | --deny | --never)
		_sluice_rule "$2"
		return
		;;
	--record | --stats | --html | --path | --exe | -o | --from | --undeclared)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return
		;;
	--report) words="all writes none" ;;
	--layers) words="auto emulate" ;;
	--prompt) words="tty socket none exec:" ;;
	--on-death) words="warden ptrace" ;;
	--backend) words="auto uring epoll" ;;
	--gate) words="on off" ;;
	--type) words="start access exec fork exit ask lost end" ;;
	--verdict) words="allow deny missing" ;;
	--op) words="read list write create delete exec meta stat connect bind ro rx w rw all" ;;
	--group) words="path dir exe op rule" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2")
}

# Pids of runs.
_sluice_runs()
{
	sluice ps 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# The command that is run completes as it would without sluice; it is the word $1 of the line.
_sluice_command()
{
	local at=1

	while ((at < COMP_CWORD)) && [[ ${COMP_WORDS[at]} != "$1" ]]; do ((at++)); done
	if declare -F _command_offset >/dev/null; then
		_command_offset "$at"
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}

_sluice()
{
	local policy_options="-p --allow --ask --deny --never --report --layers"
	local run_options="--prompt --prompt-timeout --on-death --record --stats --name --fail-denied --workers --backend --gate -v -q --help"
	local trace_options="--inputs --outputs --missing --undeclared --system --fail-undeclared -o --json -0 -v --record --from --name --help"
	local log_options="--type --verdict --op --path --exe --pid --descendants --rule --since --until --group -f --follow --json --html --help"
	local ops="read list write create delete exec meta stat connect bind"
	local words=() line=${COMP_LINE:0:COMP_POINT} cur last i ended=

	# Split at blanks only, not at ":" and "=".
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	COMPREPLY=()
	((${#words[@]} >= 2)) || return
	last=$((${#words[@]} - 1))
	cur=${words[last]}
	if ((last == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "run explain trace learn log ask ps rule doctor help --help --version" -- "$cur")
		return
	fi
	for ((i = 2; i < last; i++)); do
		if _sluice_has_value "${words[i]}"; then
			if ((++i == last)); then
				_sluice_value "${words[i - 1]}" "$cur"
				return
			fi
		elif [[ ${words[i]} == -- ]]; then
			((i++))
			ended=1
			break
		elif [[ ${words[i]} != -* ]]; then
			break
		fi
	done
	case ${words[1]} in
	run)
		if ((i < last)); then
			_sluice_command "${words[i]}"
		elif [[ -z $ended && $cur == --*=* ]]; then
			_sluice_value "${cur%%=*}" "${cur#*=}"
		elif [[ -z $ended && $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$policy_options $run_options" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		fi
		;;
	trace)
		if ((i < last)); then
			_sluice_command "${words[i]}"
		elif [[ -z $ended && $cur == --*=* ]]; then
			_sluice_value "${cur%%=*}" "${cur#*=}"
		elif [[ -z $ended && $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$policy_options $trace_options" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		fi
		;;
	ps) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$cur") ;;
	ask) mapfile -t COMPREPLY < <(compgen -W "--help" -- "$cur") ;;
	rule)
		if ((last == 2)); then
			mapfile -t COMPREPLY < <(compgen -W "list add remove --help" -- "$cur")
		elif [[ ${words[last - 1]} =~ ^(allow|ask|deny|never)$ ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$ops ro rx w rw all" -- "$cur")
		elif [[ ${words[2]} == add && $last -le 4 && ! ${words[3]} =~ ^(allow|ask|deny|never)$ ]]; then
			mapfile -t COMPREPLY < <(compgen -W "allow ask deny never $( ((last == 3)) && _sluice_runs)" -- "$cur")
		elif [[ ${words[2]} == add ]]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_sluice_runs) --json" -- "$cur")
		fi
		;;
	explain)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$policy_options --plan -v --help" -- "$cur")
		elif ((i == last)); then
			mapfile -t COMPREPLY < <(compgen -W "$ops" -- "$cur")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
		;;
	learn)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "-o --incomplete --help" -- "$cur")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
		;;
	log)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$log_options" -- "$cur")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
		;;
	help) mapfile -t COMPREPLY < <(compgen -W "run explain trace learn log ask ps rule doctor" -- "$cur") ;;
	doctor) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$cur") ;;
	esac
}

complete -F _sluice sluice
