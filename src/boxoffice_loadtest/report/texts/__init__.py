"""The sentences of the report, with the same keys in each language."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

LANGUAGES = ("en", "ko")


class Texts:
    """The sentences of one language; an unknown key raises `KeyError`."""

    def __init__(self, lang: str, sentences: Mapping[str, str]) -> None:
        self.lang = lang
        self.sentences = sentences

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a sentence with its values."""
        return self.sentences[key].format(**values)

    def has(self, key: str) -> bool:
        """Whether the sentence exists."""
        return key in self.sentences


@cache
def load(lang: str) -> Texts:
    """Return the sentences of a language; raise `ValueError` for an unknown one."""
    if lang not in LANGUAGES:
        raise ValueError(f"there are no texts in {lang!r}")
    raw = (files(__name__) / f"{lang}.json").read_bytes()
    return Texts(lang, msgspec.json.decode(raw, type=dict[str, str]))
