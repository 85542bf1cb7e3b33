"""The documentation's search finds what people look for, in the words that they have for it."""

import json
import unittest
from importlib import import_module
from importlib.util import find_spec

from tests.docs.built import DOCS, built


@unittest.skipUnless(DOCS.is_dir() and find_spec("sphinx"), "needs the checkout and Sphinx")
class TestSearch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.language = import_module("sphinx.search.en").SearchEnglish({})
        script = (built("html") / "searchindex.js").read_text(encoding="utf-8")
        cls.index = json.loads(script[script.index("(") + 1:script.rindex(")")])

    def pages(self, words):
        """The pages that have all words that count, as the search in the browser finds them."""
        found = []
        for word in filter(self.language.word_filter, words.split()):
            stem, numbers = self.language.stem(word), set()
            for terms in ("terms", "titleterms"):
                entry = self.index[terms].get(stem, [])
                numbers.update([entry] if isinstance(entry, int) else entry)
            found.append({self.index["docnames"][number] for number in numbers})
        return set.intersection(*found)

    def test_what_people_look_for(self):
        for words, page in (("reproduce", "citing"), ("confirm", "usage"), ("which hop", "localisation")):
            with self.subTest(words=words):
                self.assertIn(page, self.pages(words))

    def test_what_is_nowhere_is_not_found(self):
        self.assertEqual(self.pages("xylophone"), set())
