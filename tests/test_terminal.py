"""A terminal gets colours and has a size; a pipe gets plain text."""

import io
import unittest
from unittest.mock import patch

from pathspider import terminal
from pathspider.terminal import Terminal


class Screen(io.TextIOWrapper):
    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


class TestTerminal(unittest.TestCase):
    def test_a_pipe_gets_plain_text_of_eighty_columns(self):
        stream = io.StringIO()
        plain = Terminal(stream, {"TERM": "xterm"})
        plain.write(["x.connectivity.broken", "a\x1b[31m"])
        self.assertEqual((stream.getvalue(), plain.size[0]), ("x.connectivity.broken\na\\x1b[31m\n", 80))

    def test_odd_lines_are_coloured(self):
        screen = Screen()
        Terminal(screen, {"TERM": "xterm"}).write(["  x.connectivity.broken y", "x.connectivity.works"])
        self.assertEqual(screen.text, "\x1b[31m  x.connectivity.broken y\x1b[0m\nx.connectivity.works\n")

    def test_no_colours_where_they_are_not_wanted(self):
        for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
            screen = Screen()
            Terminal(screen, environment).write(["x.connectivity.broken"])
            self.assertEqual(screen.text, "x.connectivity.broken\n")

    def test_redrawing_leaves_nothing_of_before(self):
        screen = Screen()
        Terminal(screen, {"TERM": "xterm"}).redraw(["one", "two"])
        self.assertEqual(screen.text, "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J")

    def test_characters_that_the_terminal_does_not_have(self):
        screen = Screen("ascii")
        one = Terminal(screen, {"TERM": "xterm"})
        one.write(["straße"])
        self.assertEqual((screen.text, one.unicode), ("stra?e\n", False))

    def test_its_size_is_that_of_now_within_reason(self):
        one = Terminal(Screen(), {"TERM": "xterm"})
        for columns, lines, told in ((100, 50, (100, 50)), (10, 2, (40, 5))):
            size = terminal.os.terminal_size((columns, lines))
            with patch.object(terminal.shutil, "get_terminal_size", return_value=size):
                self.assertEqual(one.size, told)
