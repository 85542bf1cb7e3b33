import base64
import hashlib
import re
import unittest

from pathspider.campaign.definitions import (
    definitions,
    password_hash,
    permissions,
    queue_of,
    topic_permissions,
)


class TestDefinitions(unittest.TestCase):
    def test_rights_of_a_vantage_point(self):
        found = permissions("ams")
        for right, name, allowed in (
                ("read", "vp.ams", True), ("read", "any", True), ("read", "vp.ber", False), ("read", "vpxams", False),
                ("read", "results", False), ("read", "vp.ams2", False), ("write", "results", True),
                ("write", "amq.default", False), ("write", "dead", False), ("configure", "x", False)):
            self.assertEqual(bool(re.search(found[right], name)), allowed, (right, name))
        self.assertEqual(topic_permissions("ams")["write"], "^ams$")

    def test_queues(self):
        found = definitions(["ams"], "secret")
        queues = {queue["name"]: queue["arguments"] for queue in found["queues"]}
        self.assertEqual(sorted(queues), ["any", "dead", "results", queue_of("ams")])
        self.assertEqual({arguments["x-queue-type"] for arguments in queues.values()}, {"quorum"})
        self.assertEqual(queues["any"]["x-dead-letter-exchange"], "dead")
        self.assertNotIn("secret", str(found))
        # Nobody but the manager has a password, and that has no right to publish or to read results.
        self.assertEqual([user["name"] for user in found["users"] if user["password_hash"]], ["manager"])

    def test_the_hash_of_a_password(self):
        data = base64.b64decode(password_hash("secret"))
        self.assertEqual(data[4:], hashlib.sha256(data[:4] + b"secret").digest())
