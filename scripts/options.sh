# options.sh: the command line of the scripts beside it; run_all.sh, which is installed alone, has its own. Read by
# scripts that have a function usage.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
die() { # EXIT STATUS WORDS...
    say "${0##*/}: ${*:2}"
    exit "$1"
}
# Puts the value of each option into the variable of its name (--no-confirm: no_confirm), yes for a switch.
read_options() { # 'NAME...' WITH A VALUE, 'NAME...' OF SWITCHES, WORD...
    local valued=" $1 " switches=" $2 " name
    shift 2
    while (($# > 0)); do
        name=${1#--}
        if [[ $1 == --help ]]; then
            usage
            exit 0
        elif [[ $1 == --"$name" && $switches == *" $name "* ]]; then
            printf -v "${name//-/_}" yes
        elif [[ $1 == --"$name" && $valued == *" $name "* ]]; then
            (($# > 1)) && [[ -n $2 ]] || die 2 "$1: lacks its value; see --help"
            printf -v "${name//-/_}" '%s' "$2"
            shift
        else
            # shellcheck disable=SC2086
            die 2 "'$1' is no option; valid: $(printf -- '--%s ' $valued $switches help | sed 's/ $//')"
        fi
        shift
    done
}
check_whole() { # OPTION LEAST MOST; its value is in the variable of its name
    [[ ${!1} =~ ^(0|[1-9][0-9]{0,8})$ ]] && ((${!1} >= $2 && ${!1} <= $3)) ||
        die 2 "--$1: '${!1}' is not a whole number from $2 to $3"
}
# Goes to the checkout, with its programs in $bin; what these variables name is named from where we were called.
enter_checkout() { # VARIABLE...
    local name
    for name; do [[ -z ${!name} || ${!name} == /* ]] || printf -v "$name" '%s/%s' "$PWD" "${!name}"; done
    cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
    bin=${BUILD:-build}/bin
    [[ -x $bin/compare && -x $bin/machine ]] || die 3 "no programs are built in $bin: run 'make bench' first"
}
