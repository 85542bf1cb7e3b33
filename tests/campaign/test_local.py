from pathspider.campaign.local import LocalExchange
from tests.campaign.cases import FolderCase, results_of


class TestLocalExchange(FolderCase):
    def test_take_done_collect(self):
        campaign = self.create()
        exchange = LocalExchange(campaign)
        first = exchange.take()
        exchange.done(first, results_of(first))
        second = exchange.take()
        exchange.give_back(second, "it was killed", given_up=False)
        third = exchange.take()
        exchange.give_back(third, "it kills", given_up=True)
        self.assertEqual([chunk.number for chunk in (first, second, third)], [0, 1, 2])
        self.assertIsNone(exchange.take())
        self.assertEqual([*exchange.collect()], [("local", 0)])
        self.assertEqual([*exchange.collect()], [])
        again = LocalExchange(campaign)
        self.assertEqual(again.take().number, 1)
        self.assertIsNone(again.take())

    def test_cancelled(self):
        campaign = self.create()
        campaign.cancel()
        self.assertIsNone(LocalExchange(campaign).take())

    def test_asked_for_anew(self):
        campaign = self.create()
        campaign.journal.record("dead", slot="local", chunk=0, why="it kills")
        campaign.retry()
        self.assertEqual(LocalExchange(campaign).take().epoch, 1)
