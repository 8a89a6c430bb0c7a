# bash completion for brig(1)

_brig_ids() {
	# $1: ps or asks; the first word of each line that looks like an id.
	brig "$@" 2>/dev/null | grep -o '^[jA]-[0-9]*'
}

_brig_profiles() {
	brig --json policy show 2>/dev/null |
	    sed -n '/"profiles"/,/]/s/^ *"\([A-Za-z0-9._-]*\)",*$/\1/p'
}

_brig_secrets() {
	brig secret list 2>/dev/null | sed -n '2,$s/ .*//p'
}

_brig_homes() {
	brig home list 2>/dev/null | sed -n '2,$s/ .*//p'
}

_brig() {
	local cur prev cmd i words
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	cmd=
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket) ((i++)) ;;
		-*) ;;
		*)
			cmd=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()
	case $prev in
	--socket | --file | -f)
		[[ $cmd == audit || $prev == --socket ]] && {
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		}
		;;
	-w | --workspace)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-p | --profile)
		mapfile -t COMPREPLY < <(compgen -W "$(_brig_profiles)" -- "$cur")
		return
		;;
	-s | --signal)
		mapfile -t COMPREPLY < <(compgen -W "TERM INT KILL HUP QUIT USR1 USR2" -- "$cur")
		return
		;;
	esac
	case $cmd in
	'')
		words="run submit ps show logs attach replay wait kill pause
		    resume diff apply discard asks approve deny home secret ca
		    policy audit status doctor help
		    --socket --json --help --version"
		;;
	run | submit)
		words="-p --profile -w --workspace --env -t --tty --no-tty
		    -d --detach --detach-keys --help"
		;;
	ps | asks) words="-a --all --json --help" ;;
	show | wait) words="$(_brig_ids ps -a) --json --help" ;;
	logs) words="$(_brig_ids ps -a) -f --follow --raw --help" ;;
	pause | resume) words="$(_brig_ids ps) --help" ;;
	diff)
		words="$(_brig_ids ps -a) --stat --name-only -z --color --json
		    --help"
		;;
	apply)
		words="$(_brig_ids ps -a) -n --dry-run --force-protected --json
		    --help"
		;;
	discard) words="$(_brig_ids ps -a) --json --help" ;;
	attach) words="$(_brig_ids ps) -r --read-only --detach-keys --help" ;;
	replay)
		words="$(_brig_ids ps -a) --speed --max-idle --asciicast
		    --json --help"
		;;
	kill) words="$(_brig_ids ps) -s --signal --help" ;;
	approve | deny) words="$(_brig_ids asks) -m --message --help" ;;
	ca)
		case $prev in
		ca) words="show rotate --json --help" ;;
		esac
		;;
	home)
		case $prev in
		home) words="list rm --help" ;;
		list) words="-u --user --json --help" ;;
		*) words="$(_brig_homes) -u --user --help" ;;
		esac
		;;
	secret)
		case $prev in
		secret) words="add rotate revoke rm list --help" ;;
		rotate | revoke | rm) words=$(_brig_secrets) ;;
		--kind) words="token sigv4 hmac mtls ssh postgres proxy" ;;
		*)
			words="--host --kind --surface --user --env --inject
			    --capture --region --service --hmac --help"
			;;
		esac
		;;
	policy)
		case $prev in
		policy) words="check test explain reload show --help" ;;
		*)
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		esac
		;;
	audit)
		case $prev in
		audit) words="tail verify --help" ;;
		*) words="-f --follow -n --lines --file --expect-head --json" ;;
		esac
		;;
	status) words="--json --help" ;;
	doctor) words="-f --file -w --workspace --json --help" ;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -o default -F _brig brig
