"""Completion for zsh."""

from tissu_cli.reference.tree import Command
from tissu_cli.reference.words import Word, word_table

_ENGINE = r"""
_tissu() {
    local command=tissu option= word
    local -a takes described names kind
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ -n $option ]]; then
            option=
        elif _tissu_words "$command $word"; then
            if [[ $word == -* ]]; then option=$word; else command+=" $word"; fi
        fi
    done
    if [[ -n $option ]]; then
        option=" $option"
    elif [[ $PREFIX == --*=* ]]; then
        option=" ${PREFIX%%=*}"
        compset -P '*='
    elif [[ $PREFIX == -* ]]; then
        option=' -*'
        kind=(-o)
    fi
    _tissu_words "$command$option" || return 1
    local found=1
    for word in "${(@)takes}"; do
        case $word in
            @files) _files && found=0 ;;
            @directories) _files -/ && found=0 ;;
            @*)
                names=(${(f)"$(command tissu __complete ${word#@} 2>/dev/null)"})
                compadd -a names && found=0
                ;;
            *) described+=("$word") ;;
        esac
    done
    (( $#described )) && _describe $kind tissu described && found=0
    return found
}

# Found in fpath, this file is read as the function's first call; sourced, it is not.
if [[ $funcstack[1] == _tissu ]]; then
    _tissu "$@"
else
    compdef _tissu tissu
fi
"""


def zsh_completion(tree: Command) -> str:
    """The file for zsh: found in ``fpath`` as ``_tissu``, or sourced after ``compinit``."""
    lines = ["#compdef tissu", "# Completion of tissu for zsh, made from the command tree.", ""]
    lines += ["# Sets takes to what can follow; false where nothing is known.", "_tissu_words() {"]
    lines.append("    case $1 in")
    for key, words in word_table(tree).items():
        lines.append(f"        {_quote(key)}) takes=({' '.join(map(_described, words))}) ;;")
    return "\n".join([*lines, "        *) return 1 ;;", "    esac", "}", _ENGINE])


def _described(word: Word) -> str:
    text = word.text.replace(":", r"\:")
    return _quote(f"{text}:{word.help}" if word.help else text)


def _quote(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"
