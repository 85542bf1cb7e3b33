"""Every condition that the code can put out is documented, and the other way round.

The code is read, not run: string literals, with ``.*`` for what an f-string fills in, and the words that end up behind
the colon of ``pathspider.local_error:``, ``pathspider.skipped:``, ``pathspider.invalid_job:`` and of
``dnsresolv.unresolved:``.
"""

import ast
import re
import unittest
from pathlib import Path

import pathspider.base
from pathspider.conditions import CONNECTIVITY, DOCUMENTED, WITHOUT_OBSERVATION, matches
from pathspider.discovery import module_names

ROOT = Path(pathspider.base.__file__).parent
NO_CONDITIONS = {"lab", "cmd", "libtrace", "network", "suite", "schemas"}
"""Rooms in which conditions are read, not concluded."""

WORDS = {  # what stands behind the colon: the functions that are called with it, those that return or raise it
    "pathspider.local_error": ({"local_error", "LocalError"}, {"_ends"}),
    "pathspider.skipped": (set(), {"not_applicable"}),
    "pathspider.invalid_job": (set(), {"target_problem", "_address_problem", "_port_problem", "_domain_problem",
                                       "job_problem"}),
    "dnsresolv.unresolved": ({"Lookup"}, set()),
}


def modules():
    """The syntax trees of all modules that conclude something, by name."""
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT)
        if name.parts[0] not in NO_CONDITIONS and name.name != "conditions.py":
            yield str(name), ast.parse(path.read_text(encoding="utf-8"))
    tree = ast.parse((ROOT / "conditions.py").read_text(encoding="utf-8"))
    # What is concluded there, without the lists of what is documented.
    tree.body = [node for node in tree.body if not isinstance(node, ast.AnnAssign)]
    yield "conditions.py", tree


def patterns(node):
    """What a literal can become, as regular expressions."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [re.escape(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*patterns(node.body), *patterns(node.orelse)]
    return []


def name_of(call):
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


class Conclusions:
    """Every condition that the code can put out, as regular expressions with the module that they stand in."""

    def __init__(self):
        self.found = {}
        self.constants = set()
        groups = [*DOCUMENTED, *WITHOUT_OBSERVATION]
        begins = re.compile(rf"(?:{'|'.join(groups)})\\\.[a-z.]")
        own = {f"pathspider.{name}" for name in module_names("pathspider")}
        for module, tree in modules():
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
                if isinstance(node, ast.Constant):
                    self.constants.add(node.value)
                for pattern in patterns(node):
                    literal = pattern.replace("\\", "")
                    if begins.match(pattern) and not re.search(r"\s", literal) and not self.is_module(literal, own):
                        self.found.setdefault(pattern, module)

    @staticmethod
    def is_module(literal, own):
        return any(literal == one or literal.startswith((f"{one}.", f"{one}:")) for one in own) \
            or literal.endswith((".net/", ".py"))

    def add(self, module, pattern):
        self.found.setdefault(pattern, module)

    def add_call(self, module, call):
        if name_of(call) == "connectivity" and call.args:
            for pattern in patterns(call.args[0]):
                self.add(module, rf"{pattern}\.connectivity\.(?:{'|'.join(CONNECTIVITY)})")
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
            for one in value.values if isinstance(value, ast.BoolOp) else [value]:
                for pattern in filter(None, patterns(one)):
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
        conclusions = Conclusions()
        cls.found, cls.constants = conclusions.found, conclusions.constants
        cls.known = {example: condition for meanings in (DOCUMENTED | WITHOUT_OBSERVATION).values()
                     for condition in meanings for example in examples(condition)}

    def test_there_are_some(self):
        for pattern in (r"pathspider\.not_observed", r"pathspider\.local_error:no_ipv4_source",
                        r"pathspider\.local_error:bad_dip", r"pathspider\.skipped:not_applicable",
                        r"pathspider\.invalid_job:dip_missing", r"dnsresolv\.unresolved:bad_domain",
                        r"dnsresolv\.unresolved:timeout", r"h2\.upgrade\..*",
                        r"udpzero\.connectivity\.(?:works|broken|transient|offline)"):
            self.assertIn(pattern, self.found)

    def test_what_the_code_concludes_is_documented(self):
        for pattern, module in self.found.items():
            with self.subTest(pattern=pattern, module=module):
                begins = pattern in {r"pathspider\.skipped", r"pathspider\.invalid_job"}  # the word is found elsewhere
                literal = pattern.replace("\\", "")
                self.assertTrue(begins or any(re.fullmatch(pattern, one) for one in self.known)
                                or any(matches(literal, one) for one in self.known.values()))

    def test_what_is_documented_is_concluded_somewhere(self):
        for example, condition in self.known.items():
            with self.subTest(condition=condition):
                self.assertTrue(any(re.fullmatch(pattern, example) for pattern in self.found))

    def test_the_words_of_documented_conditions_stand_in_the_code(self):
        """A pattern such as ``pathspider.local_error:.*`` would let every word pass."""
        for meanings in WITHOUT_OBSERVATION.values():
            for condition in meanings:
                word = condition.rpartition(":")[2]
                if "<" not in word:
                    self.assertTrue({word, condition} & self.constants, f"{condition} stands nowhere in the code")
