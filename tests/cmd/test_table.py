import io

from pathspider.campaign.progress import Progress, Row
from pathspider.cmd.table import Table, brief
from tests.campaign.cases import FolderCase


class TestTable(FolderCase):
    def test_drawn_over(self):
        shown = Table(Progress(self.create(mode="fanout", vantages=["a", "b"])))
        shown.stream, shown._draws = io.StringIO(), True
        shown._show(shown.line(0))
        shown._show("")
        text = shown.stream.getvalue()
        self.assertEqual(text.count("\n"), 2)
        self.assertTrue(text.endswith("\r\x1b[2A\x1b[J"), repr(text))
        shown._show(shown.last_line(0), "\n")
        self.assertEqual(shown._height, 0)

    def test_in_a_log(self):
        shown = Table(Progress(self.create(mode="fanout", vantages=["a", "b"])))
        shown._draws = False
        self.assertEqual(shown.line(0), "a: 0 of 10, 0.0/s; b: 0 of 10, 0.0/s")
        self.assertEqual(brief(Row("c", total=None, errors=2)), "c: is there, 2 errors")
