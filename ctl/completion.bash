# SPDX-License-Identifier: GPL-2.0
# bash completion of intermezzoctl; verbs and options come from its own help.

_intermezzoctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words

	if ((COMP_CWORD == 1)); then
		words=$(intermezzoctl --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
	elif [[ $cur == -* ]]; then
		words=$(intermezzoctl "$verb" --help |
			sed -n 's/^ *\(-.,\)\? *\(--[a-z-]*\).*/\2/p')
	else
		case $verb in
		export | attach)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
			return
			;;
		revoke)
			words=$(intermezzoctl peers 2>/dev/null |
				sed -n 's/^\([A-Za-z0-9._-]*\): .*connected$/\1/p')
			;;
		unexport | detach | status | log | invite | peers | wait | set | verify)
			words=$(intermezzoctl status 2>/dev/null |
				sed -n 's/^\([A-Za-z0-9._-]*\): .*/\1/p')
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _intermezzoctl intermezzoctl
