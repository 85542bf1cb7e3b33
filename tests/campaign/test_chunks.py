import unittest

from pathspider.campaign.chunks import Chunk, Order


class TestOrder(unittest.TestCase):
    def test_each_target_once(self):
        order = Order(23, 5, 7, "a")
        self.assertEqual(order.chunks, 5)
        chunks = [order.targets(number) for number in range(order.chunks)]
        self.assertEqual([len(chunk) for chunk in chunks], [5, 5, 5, 5, 3])
        self.assertEqual(sorted(place for chunk in chunks for place in chunk), [*range(23)])

    def test_another_order_for_each_slot_and_the_same_again(self):
        orders = {name: [place for number in range(20) for place in Order(100, 5, 7, name).targets(number)]
                  for name in "abc"}
        self.assertEqual(len({tuple(order) for order in orders.values()}), 3)
        self.assertEqual(orders["a"][:5], Order(100, 5, 7, "a").targets(0))
        # Where two are at one place of their lists, they are hardly ever at one target.
        self.assertLess(sum(one == other for one, other in zip(orders["a"], orders["b"], strict=True)), 10)


class TestKey(unittest.TestCase):
    def test_asked_for_anew(self):
        self.assertEqual(Chunk("c", "a", 3, 0, []).key, "c.a.3.0")
        self.assertNotEqual(Chunk("c", "a", 3, 0, []).key, Chunk("c", "a", 3, 1, []).key)
