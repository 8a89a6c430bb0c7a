# bash completion for inferd(8): the options are those that it says it has.

_inferd() {
	local cur prev
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	--kv-type)
		mapfile -t COMPREPLY < <(compgen -W "F16 F32 Q8_0" -- "$cur")
		return
		;;
	--template)
		mapfile -t COMPREPLY < <(compgen -W "chatml qwen3 qwen35
		    qwen3-coder harmony mistral mixtral llama3 glm45 glm47
		    deepseek2 deepseek31 plain" -- "$cur")
		return
		;;
	--cache-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--socket-group)
		mapfile -t COMPREPLY < <(compgen -g -- "$cur")
		return
		;;
	--supervisor)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	esac
	[[ $cur == -* ]] || return
	mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null |
	    grep -o -e '--[a-z-]*[a-z]' -e '-m\>' -e '-t\>' | sort -u)" -- "$cur")
}

complete -o default -F _inferd inferd
