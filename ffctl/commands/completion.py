"""`ffctl completion`: scripts for the shells, and the lines they get back from ffctl.

A script calls ffctl with the words so far, `_FFCTL_COMPLETE` set to its shell; ffctl prints a line for each suggestion.
"""

from typing import Annotated, Literal

import typer

from ffctl.output import write
from ffctl.tree import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BASH = """\
_ffctl() {
    local IFS=$'\\n'
    COMPREPLY=( $(_FFCTL_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) )
}
complete -o default -F _ffctl ffctl
"""

ZSH = """\
#compdef ffctl
_ffctl() {
    local -a found
    found=("${(@f)$(_FFCTL_COMPLETE=zsh "${words[1]}" "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        _describe ffctl found
    else
        _files
    fi
}
if [[ "$funcstack[1]" == _ffctl ]]; then
    _ffctl "$@"
else
    compdef _ffctl ffctl
fi
"""

FISH = """\
function __ffctl_complete
    set -l words (commandline -opc)
    set -l token (commandline -ct)
    env _FFCTL_COMPLETE=fish $words[1] $words[2..-1] "$token" 2>/dev/null
end
complete -c ffctl -a '(__ffctl_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@app.command(
    epilog=examples(
        "# bash, in ~/.bashrc:",
        'eval "$(ffctl completion bash)"',
        "# zsh, in ~/.zshrc after compinit:",
        'eval "$(ffctl completion zsh)"',
        "# fish:",
        "ffctl completion fish > ~/.config/fish/completions/ffctl.fish",
    )
)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a completion script for bash, zsh or fish.

    Names of subscriptions and topics are completed from the running daemon.
    """
    write(SCRIPTS[shell])


def suggestion(shell: str, value: str, words: str) -> str:
    """One suggestion as the shell's script takes it."""
    words = " ".join(words.split())
    if shell == "zsh":
        escaped = value.replace("\\", "\\\\").replace(":", "\\:")
        return f"{escaped}:{words}" if words else escaped
    if shell == "fish" and words:
        return f"{value}\t{words}"
    return value
