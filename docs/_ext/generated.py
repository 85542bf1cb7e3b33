"""What the program itself fills in: its commands, plugins, the fields of its chains, its conditions."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from inspect import cleandoc
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode, nested_parse_with_titles

from pathspider.chains.base import Chain
from pathspider.cmd.describe import Argument, program
from pathspider.conditions import RUN
from pathspider.discovery import classes
from pathspider.forge import ForgeSpider
from pathspider.helpers.modes import MODES
from pathspider.installed import (
    CHAINS,
    available_chains,
    available_plugins,
    declared_conditions,
    find_plugin,
)
from pathspider.network.privileges import OPTIONAL

MODELS = ("pathspider.sync", "pathspider.desync", "pathspider.single", "pathspider.forge",
          "pathspider.traversal")

ELSEWHERE = {
    # The native core's classes are described in tables.
    **{f"pathspider.libtrace._core.{name}": ("developing/objects", name[:3].rstrip("6").lower())
       for name in ("IP", "IP6", "TCP", "UDP")},
    # The module imports it for type checkers alone.
    "Chain": ("developing/chains", "pathspider.chains.base.Chain"),
}
"""Names in annotations that autodoc does not find: the page and the place in it that describe them."""


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{letter}" if letter in "\\*`_|" else letter for letter in text)


def title(text: str) -> Iterator[str]:
    yield from ("", text, "-" * len(text), "")


def entry(term: str, meaning: str) -> Iterator[str]:
    """One entry of a definition list."""
    yield from (term, f"    {plain(' '.join(meaning.split())) or chr(92) + ' '}", "")


def term(argument: Argument) -> str:
    """An option with its value, or the name of a positional argument."""
    flags = argument.flags or (argument.metavar,)
    value = f" {argument.metavar}" if argument.flags and argument.metavar else ""
    return ", ".join(f"``{flag}{value}``" for flag in flags)


def commands() -> Iterator[str]:
    for command in program().walk():
        yield from title(" ".join(command.words))
        yield from plain(cleandoc(command.description)).splitlines()
        yield from ("", "::", "", f"    {command.usage}", "")
        for argument in command.arguments:
            yield from entry(term(argument), argument.help)


def table(rows: Iterable[Sequence[str]], name: str, *, header: bool = True) -> Iterator[str]:
    """A table; ``name`` is its class, for the style sheet."""
    bold = "header-rows" if header else "stub-columns"
    yield from ("", ".. list-table::", f"   :class: {name}", f"   :{bold}: 1", "")
    for row in rows:
        for place, cell in enumerate(row):
            yield f"   {'  -' if place else '* -'} {cell}"
    yield ""


def summary(thing: type) -> str:
    """The first paragraph of a class's docstring."""
    return " ".join(cleandoc(thing.__doc__ or thing.__name__).split("\n\n")[0].split())


def described(chain: type[Chain]) -> Iterator[str]:
    """The fields of one chain."""
    rows = [(f"``{name}``", field.type.__name__, f"``{json.dumps(field.initial)}``", plain(field.doc))
            for name, field in chain.fields.items()]
    if rows:
        yield from table([("Field", "Type", "At first", "Meaning"), *rows], "fields")
    else:
        yield from ("It has no fields.", "")


def chains(module: str = "") -> Iterator[str]:
    """The fields of the chains in one module, named in full where it is not ours; or a list of all chains."""
    if module:
        namespace, _, name = module.rpartition(".")
        for chain in classes(namespace or CHAINS, Chain, only=name):
            yield from described(chain)
        return
    for name, chain in sorted(available_chains().items()):
        yield from (f":doc:`{name} </chains/{name}>`", f"    {summary(chain)}", "")


def fields() -> Iterator[str]:
    """Every field of a flow record, and whose it is."""
    found = [(name, f":doc:`{module} </chains/{module}>`") for module, chain in available_chains().items()
             for name in chain.fields]
    for plugin in plugins():
        found += [(name, f":doc:`{plugin.name} </plugins/{plugin.name}>`, the plugin's own")
                  for chain in own_chains(plugin) for name in chain.fields]
    yield from table([("Field", "Chain"), *((f"``{name}``", whose) for name, whose in sorted(found))], "index")


def modes() -> Iterator[str]:
    """The connection modes."""
    rows = [(f"``{mode.name}``", plain(mode.about), str(mode.port)) for mode in MODES.values()]
    yield from table([("Mode", "What is done", "Port, where the job names none"), *rows], "modes")


def plugins() -> list[Any]:
    """The plugins of this package and of whatever else is installed, by name."""
    return available_plugins()


def module_of(thing: type) -> str:
    """The last part of the name of the module that a class is in."""
    return thing.__module__.rpartition(".")[2]


def facts(name: str = "") -> Iterator[str]:
    """What a plugin is and needs; or a list of all plugins."""
    if not name:
        for plugin in plugins():
            link = f":doc:`{plugin.name} </plugins/{plugin.name}>`"
            yield from (f"{link}: {plain(plugin.description)}", f"    {summary(plugin)}", "")
        return
    plugin = next(plugin for plugin in plugins() if plugin.name == name)
    command = next(one for one in program().walk() if one.words == ("pspdr", "measure", name))
    model = next(base for base in plugin.__mro__[1:] if base.__module__ in MODELS)
    rows = [
        ("Model", f":class:`~{model.__module__}.{model.__name__}`"),
        ("Connections", f"{connections_of(plugin)} to each target" if plugin.chains else "none to targets"),
        ("Modes", ", ".join(f"``{mode}``" for mode in plugin.connect_supported)
         + " (the first is the default)" * (len(plugin.connect_supported) > 1) or "none"),
        ("Privileges", needed(plugin.capabilities) or "none"),
        ("Chains", ", ".join(chain_link(chain) for chain in plugin.chains) or "none: it observes nothing"),
    ]
    rows += [("Option", f"{term(option)}: {plain(option.help)}") for option in command.options
             if "--help" not in option.flags]
    yield from table(rows, "facts", header=False)


def connections_of(plugin: Any) -> int:
    """How many connections a plugin makes to each target, when nothing goes wrong."""
    if issubclass(plugin, ForgeSpider):
        return int(plugin.packets)
    return len(getattr(plugin, "configurations", None) or getattr(plugin, "connections", None) or [None])


def own_chains(plugin: Any) -> list[type[Chain]]:
    """The chains of a plugin that are no chains for others."""
    return [chain for chain in plugin.chains if module_of(chain) not in available_chains()]


def chain_link(chain: type[Chain]) -> str:
    name = module_of(chain)
    if name not in available_chains():
        return f"{chain.__name__} (its own)"
    return f":doc:`{name} </chains/{name}>`"


def conditions(group: str = "") -> Iterator[str]:
    """The conditions that one plugin declares; or all, those of the run first, with a title for each group."""
    groups = {group: find_plugin(group).conditions} if group else declared_conditions()
    for name, meanings in groups.items():
        if not group:
            yield from title(name)
        for condition, meaning in meanings.items():
            yield from entry(f"``{condition}``", meaning)


def words(prefix: str) -> Iterator[str]:
    """What stands behind the colon of one of the run's own conditions, the kernel's names of errors left out."""
    rows = [(f"``{condition.removeprefix(prefix + ':')}``", plain(meaning))
            for condition, meaning in declared_conditions()[RUN].items()
            if condition.startswith(f"{prefix}:") and not condition.endswith("<errno>")]
    yield from table([("Word", "Meaning"), *rows], "words")


def needed(capabilities: Iterable[str]) -> str:
    """Capabilities in words: those without which a run does not begin, then those that it uses if they are there."""
    must, may = ([f"``{one}``" for one in capabilities if (one in OPTIONAL) is optional] for optional in (False, True))
    return "; ".join([" and ".join(must), *(f"{one} helps" for one in may)])


def privileges() -> Iterator[str]:
    """The plugins by the capabilities that their runs need, those that need most first."""
    needs: dict[tuple[str, ...], list[str]] = {}
    for plugin in plugins():
        needs.setdefault(tuple(plugin.capabilities), []).append(f":doc:`{plugin.name} </plugins/{plugin.name}>`")
    rows = [(", ".join(names), needed(capabilities) or "nothing")
            for capabilities, names in sorted(needs.items(), key=lambda item: -len(item[0]))]
    yield from table([("Plugins", "Needed, of capabilities(7)"), *rows], "privileges")


def directive(lines: Any) -> type[SphinxDirective]:
    """A directive whose content is what a function yields; its argument, if there is one, is the function's."""

    class Generated(SphinxDirective):
        optional_arguments = 1 if inspect.signature(lines).parameters else 0

        def run(self) -> list[nodes.Node]:
            holder = nodes.section(document=self.state.document)
            holder.document = self.state.document
            content = StringList(list(lines(*self.arguments)), source=lines.__name__)
            nested_parse_with_titles(self.state, content, holder)
            return holder.children

    return Generated


def missing(_: Sphinx, environment: BuildEnvironment, node: nodes.Element, text: nodes.Element) -> nodes.Element | None:
    """A link to what autodoc does not find by the name that stands in an annotation."""
    if node.get("reftarget") not in ELSEWHERE:
        return None
    page, place = ELSEWHERE[node["reftarget"]]
    return make_refnode(environment.app.builder, node["refdoc"], page, place, [text])


def setup(app: Sphinx) -> dict[str, bool]:
    for name, lines in (("commands", commands), ("chains", chains), ("fields", fields), ("modes", modes),
                        ("plugin", facts), ("conditions", conditions), ("words", words), ("privileges", privileges)):
        app.add_directive(f"pathspider-{name}", directive(lines))
    app.connect("missing-reference", missing)
    return {"parallel_read_safe": True}
