"""What is asked for a name, and the jobs that come of it."""

import unittest
from ipaddress import ip_network

from pathspider.targets.resolver.message import TYPES, Answer, client_subnet, decode_name
from pathspider.targets.resolver.naming import MOST_HOSTS, Plan, Shape, Target, jobs, leads_somewhere, own_address

V4, OTHER, V6 = b"\xc0\0\2\7", b"\xc0\0\2\x08", b"\x20\x01\x0d\xb8" + bytes(11) + b"\7"


def resolve(answers, plan=Plan(), **job):  # noqa: B008 - a tuple
    """A target whose questions were answered: by name and type."""
    target = Target({"domain": "www.example", **job}, plan)
    questions = target.begin()
    while questions:
        one = questions.pop()
        key = decode_name(one.asked[:-4]), {number: name for name, number in TYPES.items()}[one.asked[-3]]
        found = answers.get(key, Answer("nodata"))
        one.answer = found(one) if callable(found) else found
        questions += target.answered(one)
    assert not target.left
    return target


def made(target, *shape, **options):
    return [*jobs(target, Shape(*shape, **options))]


BOTH = {("www.example", "A"): Answer("", (V4, OTHER), ("a.example",)), ("www.example", "AAAA"): Answer("", (V6,))}


class TestJobs(unittest.TestCase):
    def test_each_address(self):
        common = {"domain": "www.example", "rank": 7, "cname": ["a.example"]}
        self.assertEqual(made(resolve(BOTH, rank=7)),
                         [{**common, "dip": dip} for dip in ("192.0.2.7", "192.0.2.8", "2001:db8::7")])

    def test_other_forms(self):
        array, = made(resolve(BOTH), form="array")
        self.assertEqual([one["dip"] for one in array["addresses"]], ["192.0.2.7", "192.0.2.8", "2001:db8::7"])
        self.assertNotIn("dip", array)
        self.assertEqual([":" in one["dip"] for one in made(resolve(BOTH), form="oneeach")], [False, True])

    def test_one_is_drawn_by_the_seed(self):
        found = [made(resolve(BOTH), "one", seed=seed)[0]["dip"] for seed in range(40)]
        self.assertEqual(len({*found}), 3)
        self.assertEqual(found, [made(resolve(BOTH), "one", seed=seed)[0]["dip"] for seed in range(40)])

    def test_one_of_each_prefix(self):
        def annotate(job):
            return {**job, "info": {"prefix": "192.0.2.0/24" if "." in job["dip"] else "2001:db8::/32"}}

        found = made(resolve(BOTH), "one-per-prefix", annotate=annotate)
        self.assertEqual([one["info"]["prefix"] for one in found], ["192.0.2.0/24", "2001:db8::/32"])

    def test_other_types_are_kept(self):
        answers = {**BOTH, ("www.example", "HTTPS"): Answer("", ({"priority": 1, "target": "."},))}
        first = made(resolve(answers, Plan(others=(TYPES["HTTPS"],))))[0]
        self.assertEqual(first["dns"], {"HTTPS": [{"priority": 1, "target": "."}]})
        alone = made(resolve(answers, Plan((), (TYPES["HTTPS"],))))
        self.assertEqual(alone, [{"domain": "www.example", "dns": first["dns"]}])
        self.assertEqual(made(resolve({}, Plan((), (TYPES["HTTPS"],), "www"), domain="a.example")), [])

    def test_mail_exchangers(self):
        answers = {("www.example", "MX"): Answer("", ((20, "b.example"), (10, "a.example"))),
                   ("a.example", "A"): Answer("", (V4,)), ("b.example", "AAAA"): Answer("", (V6,))}
        found = made(resolve(answers, Plan(of="mx"), domain_ascii="x"))
        self.assertEqual([(one["domain"], one["of"], one["preference"], one["dip"]) for one in found],
                         [("a.example", "www.example", 10, "192.0.2.7"), ("b.example", "www.example", 20,
                                                                          "2001:db8::7")])
        self.assertNotIn("domain_ascii", found[0])
        none = resolve({("www.example", "MX"): Answer("", ((0, "."),))}, Plan(of="mx"))
        self.assertEqual((made(none), none.why()), ([], "nodata"))

    def test_name_servers(self):
        names = tuple(f"ns{number}.example" for number in range(100))
        answers = {("www.example", "NS"): Answer("", names)} | {(name, "A"): Answer("", (V4,)) for name in names}
        self.assertEqual(len(made(resolve(answers, Plan(of="ns")))), MOST_HOSTS)

    def test_www(self):
        answers = {("www.a.example", "A"): Answer("", (V4,))}
        self.assertEqual(made(resolve(answers, Plan(of="www"), domain="a.example")),
                         [{"domain": "www.a.example", "of": "a.example", "dip": "192.0.2.7"}])
        self.assertEqual(made(resolve(answers, Plan(of="www"), domain="www.a.example")),
                         [{"domain": "www.a.example", "dip": "192.0.2.7"}])

    def test_networks(self):
        networks = ("192.0.2.0/24", "198.51.100.0/24")
        plan = Plan(subnets=tuple((text, client_subnet(ip_network(text))) for text in networks))

        def near(one):
            return Answer("", (V4, OTHER) if one.options.endswith(b"\xc0\0\2") else (V4,))

        found = made(resolve({("www.example", "A"): near}, plan))
        self.assertEqual([one["ecs"] for one in found], [["192.0.2.0/24", "198.51.100.0/24"], ["192.0.2.0/24"]])

    def test_spellings(self):
        found = made(resolve({("xn--bcher-kva.example", "A"): Answer("", (V4,))}, domain="bücher.example"))
        self.assertEqual(found, [{"domain": "bücher.example", "domain_ascii": "xn--bcher-kva.example",
                                  "dip": "192.0.2.7"}])


class TestReasons(unittest.TestCase):
    def test_why(self):
        for problems, why in ((("nodata", "nodata"), "nodata"), (("nxdomain", "timeout"), "nxdomain"),
                              (("nodata", "servfail"), "servfail"), (("servfail", "timeout"), "timeout"),
                              (("timeout", "servfail"), "timeout")):
            answers = dict(zip((("www.example", "A"), ("www.example", "AAAA")), map(Answer, problems), strict=True))
            target = resolve(answers)
            self.assertEqual((target.why(), made(target)), (why, []))

    def test_what_was_answered_in_part_says_so(self):
        for problem, told in (("timeout", {"AAAA": "timeout"}), ("servfail", {"AAAA": "servfail"}), ("nodata", {})):
            target = resolve({("www.example", "A"): Answer("", (V4,)), ("www.example", "AAAA"): Answer(problem)})
            self.assertEqual(target.unanswered(), told)
            job, = made(target)
            self.assertEqual(job.get("unanswered", {}), told)

    def test_what_cannot_be_asked(self):
        for domain, why in (("", "no_name"), (None, "no_name"), ("x" * 64 + ".example", "bad_domain")):
            for of in ("host", "mx", "www"):
                self.assertEqual(resolve({}, Plan(of=of), domain=domain).why(), why)

    def test_addresses_that_lead_nowhere(self):
        import socket  # noqa: PLC0415

        for text, good in (("127.0.0.1", False), ("0.0.0.0", False), ("169.254.1.1", False), ("224.0.0.1", False),
                           ("255.255.255.255", False), ("10.0.0.1", True), ("::1", False), ("::", False),
                           ("fe80::1", False), ("ff02::1", False), ("::ffff:192.0.2.1", False), ("fd00::1", True)):
            packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
            self.assertEqual(leads_somewhere(packed), good, text)

    def test_what_has_its_address(self):
        self.assertEqual(own_address({"dip": "192.0.2.1"}), {"dip": "192.0.2.1"})
        self.assertEqual(own_address({"domain": "2001:DB8::1"})["dip"], "2001:db8::1")
        self.assertIsNone(own_address({"domain": "www.example"}))
