"""Completion for bash."""

import shlex

from tissu_cli.reference.tree import Command
from tissu_cli.reference.words import word_table

_ENGINE = r"""
# What one source has that begins with the word; nothing of it is ever expanded.
_tissu_source() {
    local name
    case $1 in
        @files) compgen -f -- "$2" ;;
        @directories) compgen -d -- "$2" ;;
        *)
            command tissu __complete "${1#@}" 2>/dev/null | while IFS= read -r name; do
                [[ $name == "$2"* ]] && printf '%s\n' "$name"
            done
            ;;
    esac
}

_tissu() {
    local IFS=$' \t\n' rest=${COMP_LINE:0:COMP_POINT} gap part count=0
    local -a line takes
    # The words as they were typed: bash cuts them at = and : as well.
    for ((part = 0; part <= COMP_CWORD; part++)); do
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        local word=${COMP_WORDS[part]}
        ((part == COMP_CWORD)) && word=$rest
        rest=${rest#"$word"}
        if [[ $part == 0 || -n $gap ]]; then
            line[count++]=$word
        else
            line[count - 1]+=$word
        fi
    done

    local command=tissu option= current=${line[count - 1]}
    for word in "${line[@]:1:count - 2}"; do
        if [[ -n $option ]]; then
            option=
        elif _tissu_words "$command $word"; then
            if [[ $word == -* ]]; then option=$word; else command+=" $word"; fi
        fi
    done
    if [[ -n $option ]]; then
        option=" $option"
    elif [[ $current == --*=* ]]; then
        option=" ${current%%=*}"
        current=${current#*=}
    elif [[ $current == -* ]]; then
        option=' -*'
    fi
    _tissu_words "$command$option" || return 0

    # What readline puts in place of the word begins after its last : that is not quoted.
    local plain=${current//\\/} cut=
    plain=${plain#[\"\']}
    if [[ $COMP_WORDBREAKS == *:* && $current != [\"\']* ]]; then
        part=${current//\\:/..}
        part=${part##*:}
        cut=${current:0:${#current}-${#part}}
        cut=${cut//\\/}
    fi
    COMPREPLY=()
    for word in "${takes[@]}"; do
        if [[ $word == @* ]]; then
            while IFS= read -r part; do
                COMPREPLY+=("${part#"$cut"}")
            done < <(_tissu_source "$word" "$plain")
        elif [[ $word == "$plain"* ]]; then
            COMPREPLY+=("$word")
        fi
    done
    # Readline quotes file names; that of bash 3.2 is not told which words are some.
    if [[ " ${takes[*]}" == *' @'* ]] && ! compopt -o filenames 2>/dev/null; then
        for part in "${!COMPREPLY[@]}"; do
            COMPREPLY[part]=$(printf %q "${COMPREPLY[part]}")
        done
    fi
}

complete -F _tissu tissu
"""


def bash_completion(tree: Command) -> str:
    """The file for bash 3.2 and newer."""
    lines = ["# Completion of tissu for bash, made from the command tree.", ""]
    lines += ["# Sets takes to what can follow; false where nothing is known.", "_tissu_words() {"]
    lines.append("    case $1 in")
    for key, words in word_table(tree).items():
        found = " ".join(shlex.quote(word.text) for word in words)
        lines.append(f"        {shlex.quote(key)}) takes=({found}) ;;")
    return "\n".join([*lines, "        *) return 1 ;;", "    esac", "}", _ENGINE])
