"""Man pages from the parsers: ``python3 -m pathspider.cmd.manpage FOLDER`` writes pspdr(1) and one page a command.

See man(7) and groff_man(7) for the macros; nothing beyond them is used.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pathspider.cmd.describe import Argument, Command, program
from pathspider.version import __version__

NOT_DONE = {
    "pspdr": "some of it was not; each command's page says what that means",
    "pspdr-measure": "some of it was not: a line of input that is no job, a job that is invalid, a plugin, capture or "
                     "output that failed",
    "pspdr-observe": "the packet source broke off, or the flows could not be written",
    "pspdr-filter": "something in the list is no job",
    "pspdr-report": "a line is no record, or a file breaks off or holds none; the report has all the rest",
    "pspdr-lab": "lab check measured something else on a path than its scenario says",
    "pspdr-test": "a test failed",
}
"""What exit status 1 says, by the name of the page; a command that is not here has none."""
DONE = {
    "pspdr-observe": "the source was read to its end, or SIGINT (Ctrl-C) or SIGTERM ended the observation; every flow "
                     "was written",
}
"""What exit status 0 says, where it is more than that all work was done."""
FURTHER_STATUS: dict[str, list[tuple[int | str, str]]] = {
    "pspdr-measure": [(130, "interrupted (SIGINT); what was under way was finished and written, unless interrupted "
                            "again"), (143, "the same, with SIGTERM")],
    "pspdr-observe": [(130, "interrupted a second time (SIGINT), while open flows were being written; the first SIGINT "
                            "or SIGTERM ends the observation, with status 0"), (143, "the same, with SIGTERM")],
    "pspdr-resolve": [(130, "interrupted (SIGINT); names under way were finished, unless interrupted again"),
                      (143, "the same, with SIGTERM")],
    "pspdr-lab": [(125, "with lab run and lab shell, whose status else is that of the command: the lab could not be "
                        "made"),
                  (126, "the command of lab run could not be executed"),
                  (127, "there is no such command"),
                  ("128+n", "the command ended by signal n"),
                  (130, "interrupted (SIGINT), with the others; lab check ends its labs first")],
}
"""Further exit statuses, by the name of the page; a command that is not here has 130."""
FURTHER = {
    "pspdr": ["pspdr lab demo", "pspdr lab run -- sh -c 'pspdr lab targets --plugin ecn | pspdr measure -i lab0 ecn'",
              "pspdr measure -i eth0 ecn <targets.ndjson >records.ndjson"],
    "pspdr-measure": ["pspdr measure --csv-input dnsresolv <names.csv >targets.ndjson",
                      "pspdr measure -i eth0 ecn --connect https <targets.ndjson >records.ndjson"],
}
"""Examples beside those of the epilogs."""


def pages(top: Command) -> dict[str, str]:
    """Every page by its file's name."""
    names = ["-".join(command.words) for command in top.commands]
    found = {"pspdr.1": page(top, names)}
    for command, name in zip(top.commands, names, strict=True):
        found[f"{name}.1"] = page(command, ["pspdr", *(other for other in names if other != name)])
    return found


def page(command: Command, others: Iterable[str]) -> str:
    """One page. ``others``: the pages to see also."""
    name = "-".join(command.words)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    summary = command.summary[:1].lower() + command.summary[1:].rstrip(".")
    if command.summary[:2].isupper() or command.summary.startswith("PATHspider"):
        summary = command.summary.rstrip(".")
    lines = [f'.TH {name.upper()} 1 "{date}" "PATHspider {__version__}" "User Commands"', ".nh", ".ad l",
             ".SH NAME", f"{escape(name)} \\- {escape(summary)}",
             ".SH SYNOPSIS", *synopsis(command), ".SH DESCRIPTION", *prose(command.description)]
    if command.arguments:
        lines += [".SH OPTIONS", *arguments(command)]
    if command.commands:
        is_measure = name == "pspdr-measure"
        lines.append(".SH PLUGINS" if is_measure else ".SH COMMANDS")
        if is_measure:
            lines += prose("Options of a plugin stand behind its name, those above before it.")
        for sub in command.commands:
            lines += summaries(sub) if len(command.words) == 1 else section(sub)
    lines += [".SH EXIT STATUS", *statuses(name)]
    if examples := [*examples_of(command.epilog), *FURTHER.get(name, ())]:
        lines += [".SH EXAMPLES", *literal(examples)]
    lines += [".SH SEE ALSO", " ,\n".join(f".BR {escape(other)} (1)" for other in others)]
    return "\n".join(lines) + "\n"


def summaries(command: Command) -> list[str]:
    """A command that has a page of its own."""
    return [".TP", f".BR {escape('-'.join(command.words))} (1)", escape(command.summary)]


def section(command: Command) -> list[str]:
    """A sub-command or plugin that is part of a page."""
    text = command.description
    intro = [] if text == command.summary else prose(text)
    return [f".SS {escape(command.name)} \\- {escape(command.summary)}", *synopsis(command), *intro,
            *arguments(command, leave_out=("-h", "--help"))]


def synopsis(command: Command) -> list[str]:
    """The usage; the typed words bold, set so that an option and its value stay on one line."""
    typed = " ".join(command.words)
    parts, depth = [""], 0
    for char in command.usage.removeprefix(typed).strip():
        depth += (char == "[") - (char == "]")
        if char == " " and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [".PP", f"\\fB{escape(typed)}\\fR", *(escape(part).replace(" ", "\\ ") for part in parts if part)]


def arguments(command: Command, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    """A paragraph an argument: positional ones first."""
    for argument in [*command.positionals, *command.options]:
        if not set(argument.flags) & set(leave_out):
            yield ".TP"
            yield tag(argument)
            yield from prose(full_stop(argument.help + values(argument)))[1:]


def tag(argument: Argument) -> str:
    """How an argument is typed."""
    value = f" \\fI{escape(argument.metavar)}\\fR" if argument.metavar else ""
    return ", ".join(f"\\fB{escape(flag)}\\fR" for flag in argument.flags) + value if argument.flags else value.strip()


def values(argument: Argument) -> str:
    """The choices, where neither the help nor the name of the value lists them."""
    shown = argument.help + argument.metavar
    missing = [choice for choice in argument.choices if choice not in shown]
    if not missing or argument.metavar.startswith("["):
        return ""
    return f"{'' if argument.help.endswith(('.', ')')) else '.'} One of: {', '.join(argument.choices)}."


def full_stop(text: str) -> str:
    """A sentence, with its first letter large and its end marked; the help texts are of both kinds."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ")", ":")) or not text else ".")


def statuses(name: str) -> Iterator[str]:
    """What each exit status of a command says."""
    failed = NOT_DONE.get(name)
    told = [(0, DONE.get(name, "all work was done")), *([(1, failed)] if failed else []),
            (2, "the command line, or what it asks for, cannot be done as asked"),
            *FURTHER_STATUS.get(name, [(130, "interrupted")])]
    for number, meaning in told:
        yield from (".TP", f"\\fB{number}\\fR", escape(full_stop(meaning)))


def examples_of(epilog: str) -> list[str]:
    """The command lines of an epilog."""
    return [found[1] for line in epilog.splitlines()
            if (found := re.match(r"\s*(?:examples?: +)?((?:sudo )?pspdr .*)", line))]


def prose(text: str) -> list[str]:
    """Paragraphs; what is indented or begins with ``Example:`` is set as it is."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        example = re.match(r"(Examples?): *\n?(.*)", paragraph, re.DOTALL)
        if example:
            lines += [".PP", f"{example[1]}:", *literal(example[2].splitlines())]
        elif all(line.startswith(" ") for line in paragraph.splitlines()):
            lines += literal(paragraph.splitlines())
        else:
            lines += [".PP", *(marked(line.strip()) for line in paragraph.splitlines())]
    return lines


def literal(lines: Iterable[str]) -> list[str]:
    """Lines that are not filled."""
    return [".PP", ".RS 4", ".nf", *(escape(line.strip()) for line in lines), ".fi", ".RE"]


def marked(line: str) -> str:
    """Prose with the marks of reStructuredText that docstrings hold."""
    line = re.sub(r":rfc:`(\d+)`", r"RFC \1", line)
    line = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", line)
    return re.sub(r"``([^`]+)``", r"\\fB\1\\fR", escape(line))


def escape(text: str) -> str:
    """Text that troff takes for text."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "\\&...")
    return "\\&" + text if text.startswith((".", "'")) else text


def main() -> None:
    """Write the pages into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(program()).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
