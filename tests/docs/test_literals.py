"""Every condition that the code can put out is documented, and the other way round.

The code is read, not run: string literals, with what an f-string fills in as far as that is known, and the words that
end up behind the colon of ``pathspider.local_error:``, ``pathspider.skipped:``, ``pathspider.invalid_job:`` and of
``dnsresolv.unresolved:``.
"""

import ast
import re
import unittest
from itertools import product
from pathlib import Path

import pathspider.base
from pathspider.conditions import CONNECTIVITY, matches
from pathspider.discovery import module_names
from pathspider.installed import available_plugins, declared_conditions
from pathspider.traversal import TraversalSpider

ROOT = Path(pathspider.base.__file__).parent
NO_CONDITIONS = {"lab", "cmd", "libtrace", "network", "suite", "schemas", "report", "templates", "export",
                 "show"}
"""Rooms in which conditions are read, not concluded."""

WORDS = {  # what stands behind the colon: the functions that are called with it, those that return or raise it
    "pathspider.local_error": ({"local_error", "LocalError"}, {"_ends"}),
    "pathspider.skipped": (set(), {"not_applicable"}),
    "pathspider.invalid_job": (set(), {"target_problem", "_address_problem", "_port_problem", "_domain_problem",
                                       "job_problem"}),
    "dnsresolv.unresolved": ({"Lookup", "note", "failed"}, set()),
}


DECLARATIONS = {"conditions", "RUN_CONDITIONS"}
"""What is declared under these names is not thereby concluded."""


def modules():
    """The syntax trees of all modules that conclude something, by name, without what they declare."""
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT)
        if name.parts[0] not in NO_CONDITIONS:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
                node.body = [part for part in node.body if not declares(part)]
            yield str(name), tree


def declares(node):
    """True for a statement that declares conditions."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id in DECLARATIONS for target in targets)


class Values:
    """What expressions of one module can be, as far as their constants tell; ``NUMBER`` stands for the rest.

    Followed are conditional expressions, ``dict.get()``, names that are assigned or looped over, functions that return.
    """

    NUMBER = "[0-9]+"

    def __init__(self, tree):
        self.names = {}
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                self.bind(node.targets[0], [node.value])
            elif isinstance(node, ast.For | ast.comprehension):
                self.bind(node.target, self.looped_over(node.iter))

    def looped_over(self, node):
        """What a loop over an expression goes through: the parts of a tuple, or the keys of a dict with a name."""
        if isinstance(node, ast.Tuple):
            return node.elts
        named = self.names.get(node.id, []) if isinstance(node, ast.Name) else []
        return [key for value in named if isinstance(value, ast.Dict) for key in value.keys if key is not None]

    def bind(self, target, values):
        if isinstance(target, ast.Name):
            self.names.setdefault(target.id, []).extend(values)
        elif isinstance(target, ast.Tuple) and all(isinstance(value, ast.Tuple) for value in values):
            for place, part in enumerate(target.elts):
                self.bind(part, [value.elts[place] for value in values])

    def of(self, node, busy=()):
        """The strings that an expression can be, as regular expressions; empty where nothing is known."""
        if isinstance(node, ast.Constant):
            return [re.escape(node.value)] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(parts) for parts in product(*map(self.part, node.values))]
        return [value for one in self.followed(node) if node not in busy for value in self.of(one, (*busy, node))]

    def followed(self, node):
        """The expressions one of which is the value of an expression."""
        match node:
            case ast.IfExp():
                found = [node.body, node.orelse]
            case ast.BoolOp():
                found = node.values
            case ast.Name():
                found = self.names.get(node.id, [])
            case ast.Call(func=ast.Attribute(value=ast.Dict(values=values), attr="get")):
                found = [*values, *node.args[1:]]
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                returns = [one for one in ast.walk(self.functions[name]) if isinstance(one, ast.Return)]
                found = [one.value for one in returns if one.value]
            case _:
                found = []
        return found

    def part(self, node):
        if isinstance(node, ast.Constant):
            return [re.escape(node.value)]
        return [value for value in self.of(node.value) if value] or [self.NUMBER]


def name_of(call):
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


class Conclusions:
    """Every condition that the code can put out, as regular expressions with the module that they stand in."""

    def __init__(self):
        self.found = {}
        groups = declared_conditions()
        self.known = {condition for declared in groups.values() for condition in declared}
        begins = re.compile(rf"(?:{'|'.join(groups)})\\\.(?:[a-z]|\[0-9\]\+\\\.)")
        own = {f"pathspider.{name}" for name in module_names("pathspider")}
        for module, tree in modules():
            self.values = Values(tree)
            self.compares_responses = "compares_responses" in self.values.names
            inside = {child for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for child in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    self.add_call(module, node)
                elif isinstance(node, ast.FunctionDef):
                    self.add_returns(module, node)
                elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "problem":
                    self.add_values("dnsresolv.unresolved", module, node.value)
                if node in inside:
                    continue
                for pattern in self.of_literal(node):
                    literal = pattern.replace("\\", "")
                    if begins.match(pattern) and not re.search(r"\s", literal) and not self.is_module(literal, own):
                        self.found.setdefault(pattern, module)

    def of_literal(self, node):
        """What a literal can be; not what ends with a word that is found elsewhere."""
        if not isinstance(node, ast.Constant | ast.JoinedStr):
            return
        for pattern in self.values.of(node):
            if any(condition.startswith(pattern.replace("\\", "") + ".connectivity.") for condition in self.known):
                continue  # the name that conditions begin with
            if pattern.removesuffix(f":{Values.NUMBER}").replace("\\", "") not in WORDS:
                yield pattern

    @staticmethod
    def is_module(literal, own):
        return any(literal == one or literal.startswith((f"{one}.", f"{one}:")) for one in own) \
            or literal.endswith((".net/", ".py"))

    def add(self, module, pattern):
        self.found.setdefault(pattern, module)

    def add_call(self, module, call):
        if name_of(call) == "connectivity" and call.args:
            for pattern in self.values.of(call.args[0]):
                for word in CONNECTIVITY:
                    self.add(module, rf"{pattern}\.connectivity\.{word}")
                if self.compares_responses:  # the run says it, of what the plugin calls so
                    self.add(module, rf"{pattern}\.response\.differs:{Values.NUMBER}:{Values.NUMBER}")
        if name_of(call) == "handshake" and call.args:
            for pattern in self.values.of(call.args[0]):
                self.add(module, rf"{pattern}\.handshake\.works")
        if name_of(call) == "get" and [getattr(one, "value", "") for one in call.args[:1]] == ["skipped"]:
            self.add_values("pathspider.skipped", module, *call.args[1:])
        for prefix, (callers, _) in WORDS.items():
            if name_of(call) in callers:
                self.add_values(prefix, module, *call.args[:2])

    def add_returns(self, module, function):
        for prefix, (_, functions) in WORDS.items():
            if function.name in functions:
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and node.value is not None:
                        self.add_values(prefix, module, node.value)
                    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                        self.add_values(prefix, module, *node.exc.args)

    def add_values(self, prefix, module, *values):
        for value in values:
            if isinstance(value, ast.Name):
                continue  # found where it was made
            for pattern in filter(None, self.values.of(value)):
                self.add(module, f"{re.escape(prefix)}:{pattern}")


def examples(documented):
    """What a documented condition looks like in a record."""
    values = {"errno": ("ENETUNREACH", "errno 513"), "rcode": ("refused", "77")}
    names = re.findall("<([^>]*)>", documented)
    for number in range(2):
        text = documented
        for name in names:
            text = text.replace(f"<{name}>", values.get(name, ("46", "0"))[number])
        yield text


class TestLiterals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.found = Conclusions().found
        cls.tables = {plugin.name for plugin in available_plugins() if issubclass(plugin, TraversalSpider)}
        cls.tables |= {"tls", "quic"}  # a table of ClientHellos; tables of words
        cls.known = {example: condition for meanings in declared_conditions().values()
                     for condition in meanings for example in examples(condition)}

    def test_there_are_some(self):
        for pattern in (r"pathspider\.not_observed", r"pathspider\.local_error:no_ipv4_source",
                        r"pathspider\.local_error:bad_dip", r"pathspider\.skipped:not_applicable",
                        r"pathspider\.invalid_job:dip_missing", r"dnsresolv\.unresolved:bad_domain",
                        r"dnsresolv\.unresolved:timeout", r"h2\.upgrade\.success", r"ecn\.negotiation\.reflected",
                        r"tfo\.syndata\.not_acked", r"mss\.option\.local\.value:[0-9]+",
                        r"dscp\.[0-9]+\.replymark:[0-9]+", r"udpzero\.connectivity\.broken"):
            self.assertIn(pattern, self.found)

    def test_what_the_code_concludes_is_documented(self):
        for pattern, module in self.found.items():
            with self.subTest(pattern=pattern, module=module):
                errno = matches(pattern.replace("\\", ""), "pathspider.local_error:<errno>")
                self.assertTrue(errno or any(re.fullmatch(pattern, one) for one in self.known))

    def test_what_is_documented_is_concluded_somewhere(self):
        for example, condition in self.known.items():
            # the kernel's words, those of a DNS server, and those of tables, which tests.lab.test_scenarios looks at
            if not condition.endswith(("<errno>", "<rcode>")) and condition.partition(".")[0] not in self.tables:
                with self.subTest(condition=condition):
                    self.assertTrue(any(re.fullmatch(pattern, example) for pattern in self.found))
