"""Completion for shells from the parsers: ``python3 -m pathspider.cmd.completion FOLDER`` writes it for bash and zsh.

``FOLDER/bash/pspdr`` belongs into ``/usr/share/bash-completion/completions``, ``FOLDER/zsh/_pspdr`` into
``/usr/share/zsh/vendor-completions``. They are plain data for the shell: nothing of ours runs when a key is pressed.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from pathspider.cmd.describe import Argument, Command, program

BASH = r"""# bash completion for pspdr(1), generated from its parsers

# What can follow a command: words for the options, their values, sub-commands and arguments.
# Options that take a value are in $valued; kinds of values that only the machine knows are @file, @interface, @command.
_pspdr_words() {
    valued=""
    case "$1" in
CASES
    esac
}

_pspdr() {
    local current=${COMP_WORDS[COMP_CWORD]} path=pspdr word option="" i options commands arguments valued values
    COMPREPLY=()
    _pspdr_words "$path"
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then  # bash splits --option=value in three
            option=${COMP_WORDS[i - 1]}
        elif [[ -n $option ]]; then
            option=""
        elif [[ " $valued " == *" $word "* ]]; then
            option=$word
        elif [[ $arguments == @command && $word != -* || $word == -- ]]; then
            _pspdr_command $((i + ($(test "$word" = -- && echo 1 || echo 0))))
            return
        elif [[ " $commands " == *" $word "* ]]; then
            path="$path $word"
            _pspdr_words "$path"
        fi
    done
    if [[ $current == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 1]}
        current=""
    fi
    if [[ -n $option ]]; then
        values=""
        _pspdr_values "$path" "$option"
    elif [[ $current == -* ]]; then
        values=$options
    else
        values="$commands $arguments"
    fi
    _pspdr_reply "$current" $values
}

_pspdr_reply() {
    local current=$1 value
    shift
    for value in "$@"; do
        case "$value" in
            @file)
                compopt -o filenames 2>/dev/null
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
            @interface)
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(cd /sys/class/net && compgen -f -- "$current") ;;
            @command)
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$current") ;;
            *)
                [[ $value == "$current"* ]] && COMPREPLY+=("$value") ;;
        esac
    done
}

# The words from number $1 on are another program's command line.
_pspdr_command() {
    if declare -F _command_offset >/dev/null && ((COMP_CWORD > $1)); then
        _command_offset "$1"
    elif ((COMP_CWORD > $1)); then
        _pspdr_reply "${COMP_WORDS[COMP_CWORD]}" @file
    else
        _pspdr_reply "${COMP_WORDS[COMP_CWORD]}" @command
    fi
}

_pspdr_values() {
    case "$1:$2" in
VALUES
    esac
}

complete -F _pspdr pspdr
"""


def bash(top: Command) -> str:
    """The file for bash. It needs bash 4 and nothing else; with bash-completion, other programs' words complete too."""
    cases, values = [], []
    for command in top.walk():
        path = " ".join(command.words)
        flags = " ".join(flag for option in command.options for flag in option.flags)
        valued = " ".join(flag for option in command.options if option.metavar for flag in option.flags)
        below = " ".join(sub.name for sub in command.commands)
        arguments = " ".join(dict.fromkeys(word for argument in command.positionals for word in known(argument)))
        cases.append(f"        {shlex.quote(path)})\n            options={shlex.quote(flags)}\n"
                     f"            commands={shlex.quote(below)} arguments={shlex.quote(arguments)}\n"
                     f"            valued={shlex.quote(valued)} ;;")
        for option in command.options:
            if option.metavar and (words := known(option)):
                patterns = "|".join(shlex.quote(f"{path}:{flag}") for flag in option.flags)
                values.append(f"        {patterns}) values={shlex.quote(' '.join(words))} ;;")
    return BASH.replace("CASES", "\n".join(cases)).replace("VALUES", "\n".join(values))


def known(argument: Argument) -> tuple[str, ...]:
    """What is known of an argument's values: words, or one word with ``@`` for what only the machine knows."""
    return argument.choices or ((f"@{argument.value}",) if argument.value else ())


ZSH = """#compdef pspdr
# zsh completion for pspdr(1), generated from its parsers

{functions}

_pspdr "$@"
"""
ZSH_ACTIONS = {"file": "_files", "interface": "_net_interfaces", "command": "_normal"}


def zsh(top: Command) -> str:
    """The file for zsh."""
    return ZSH.format(functions="\n\n".join("\n".join(zsh_function(command)) for command in top.walk()))


def zsh_function(command: Command) -> Iterator[str]:
    """The function that completes what follows one command."""
    name = zsh_name(command)
    yield f"{name}() {{"
    if command.commands:
        yield "    local context state state_descr line\n    typeset -A opt_args"
    yield f"    _arguments -s {'-C ' if command.commands else ''}\\"
    for option in command.options:
        yield f"        {zsh_option(option)} \\"
    for argument in command.positionals:
        yield f"        {zsh_positional(argument)} \\"
    if not command.commands:
        yield "        && return 0\n    return 1\n}"
        return
    yield "        '1: :->command' '*:: :->rest' && return 0"
    yield "    case $state in\n        command)\n            local -a commands=("
    for sub in command.commands:
        yield f"                {shlex.quote(colons(sub.name) + ':' + colons(sub.summary))}"
    yield "            )\n            _describe -t commands command commands ;;"
    yield "        rest)\n            case $line[1] in"
    for sub in command.commands:
        yield f"                {shlex.quote(sub.name)}) {zsh_name(sub)} ;;"
    yield "            esac ;;\n    esac\n}"


def zsh_name(command: Command) -> str:
    """The name of a command's function."""
    return "_" + re.sub(r"\W", "_", "_".join(command.words))


def zsh_option(option: Argument) -> str:
    """An option as ``_arguments`` takes it: excluded once given, unless it may be repeated."""
    text = re.sub(r"([\[\]:])", r"\\\1", option.help)
    value = f":{colons(option.metavar)}:{zsh_action(option)}" if option.metavar else ""
    first = "*" if option.repeated else f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
    return " ".join(shlex.quote(f"{first}{flag}[{text}]{value}") for flag in option.flags)


def zsh_positional(argument: Argument) -> str:
    """A positional argument as ``_arguments`` takes it."""
    kind = "*::" if argument.value == "command" else "*:" if argument.repeated else ":"
    return shlex.quote(f"{kind}{colons(argument.metavar)}:{zsh_action(argument)}")


def zsh_action(argument: Argument) -> str:
    """How values are found."""
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return ZSH_ACTIONS.get(argument.value, " ")


def colons(text: str) -> str:
    """Text in a place that a colon would end."""
    return text.replace(":", "\\:")


def main() -> None:
    """Write both files below the folder that the command line names."""
    folder, top = Path(sys.argv[1]), program()
    for name, text in (("bash/pspdr", bash(top)), ("zsh/_pspdr", zsh(top))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
