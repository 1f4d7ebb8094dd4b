"""Which languages a history is in, by scripts and stop words, and whether the model reads them.

A sample of the stored texts is enough: the question is whether much of a history is in a language that the
model was not trained for. A text in a script of its own is counted by its letters, one in Latin script by
words that are frequent in one language and absent from English. Names, code and emoji belong to none.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.plugins.installation import install_command, providers_of
from patina_hooks.store.corpus.texts import sample_observation_texts

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.models import ModelSpec

SAMPLE: Final = 1_000
MUCH: Final = 0.3
"""The share of texts in other languages from which a remark is shown."""
_FEWEST: Final = 10
_MULTILINGUAL: Final = "qwen3-embedding-0.6b"
"""A model for very many languages that a plugin of this project provides."""

NAMES: Final[Mapping[str, str]] = {
    "ar": "Arabic", "cs": "Czech", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "it": "Italian", "ja": "Japanese", "ko": "Korean",
    "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian or another language in Cyrillic",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

_SCRIPTS: Final = (  # in this order: Japanese has Han too
    ("ja", re.compile("[\u3041-\u30ff\uff66-\uff9d]")),
    ("ko", re.compile("[\uac00-\ud7a3\u1100-\u11ff]")),
    ("zh", re.compile("[\u3400-\u9fff\uf900-\ufaff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_LETTERS = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"`[^`]*`|[!-~]*[/_.@#\\=(){}<>:][!-~]*|[A-Za-z]*\d[A-Za-z0-9]*|[a-z]+[A-Z][A-Za-z]*")
_STOP_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and for with when that this from not are was into only should which because now its",
        "de": "und der das nicht wird für auf mit von eine wenn auch aus bei nach werden dem des zum zur",
        "fr": "le les des et une dans pour est avec sur pas que qui du aux cette lors ajoute par",
        "es": "el los las una para con que del por se como cuando esta este más al y también sin ya",
        "pt": "não uma para com que do da dos das ao por mais quando também em os um foi",
        "it": "il gli della delle per con che una nel nella sono non più questo quando anche dei di",
        "nl": "het een van niet voor met wordt zijn naar bij ook als dat deze worden uit de",
        "pl": "nie się jest dla przy oraz jako przez które tym gdy żeby po z na",
        "cs": "není je pro při jako které když aby také se na že podle",
        "sv": "och att inte för med som är till på det när från även ett den av",
        "tr": "ve bir için ile bu değil olarak daha gibi çok eklendi",
        "vi": "và của không cho được các khi trong này với thêm để là",
    }.items()
}


def measure_languages(texts: Iterable[str]) -> dict[str, float]:
    """Estimate the share of texts in each language; texts in none count as English."""
    total, scripts, hits, latin = 0, Counter[str](), Counter[str](), 0
    for text in texts:
        words = _CODE.sub(" ", text)
        letters = len(_LETTERS.findall(words))
        if letters < 2:
            continue
        total += 1
        if script := _script_of(words, letters):
            scripts[script] += 1
            continue
        latin += 1
        distinct = {word.lower() for word in _WORD.findall(words)}
        counts = {name: len(distinct & stop_words) for name, stop_words in _STOP_WORDS.items()}
        hits.update({name: count for name, count in counts.items() if count})
    if total < _FEWEST:
        return {}
    shares = {language: number / total for language, number in scripts.items()}
    best = max(hits, key=lambda language: (hits[language], language), default="en")
    share = hits[best] / (hits[best] + hits["en"]) if best != "en" else 0.0
    if share >= MUCH and 4 * hits[best] >= latin:
        shares[best] = share * latin / total
    shares["en"] = 1 - sum(shares.values())
    return shares


def _script_of(text: str, letters: int) -> str:
    """Return the language whose script much of a text is in, "" for Latin."""
    for language, pattern in _SCRIPTS:
        count = len(pattern.findall(text))
        if language == "ja":
            count *= 3  # the rest is Han
        if 3 * count >= letters:
            return language
    return ""


def uncovered_languages(shares: Mapping[str, float], trained: Sequence[str]) -> dict[str, float]:
    """Return the shares of languages that a model was not trained for, if its languages are known."""
    if not trained or "mul" in trained:
        return {}
    return {language: share for language, share in shares.items() if language not in trained and share > 0}


def language_remark(
    connection: sqlite3.Connection, model: ModelSpec, plugins: Plugins
) -> tuple[str, str] | None:
    """Return a remark if much of a history is in languages that its model does not read.

    Returns:
        The remark and what to try, None where there is no remark.
    """
    uncovered = uncovered_languages(
        measure_languages(sample_observation_texts(connection, SAMPLE)), model.languages
    )
    share = sum(uncovered.values())
    if share < MUCH:
        return None
    main = sorted(uncovered, key=lambda language: (-uncovered[language], language))[:2]
    names = " and ".join(NAMES.get(language, language) for language in main)
    trained = ", ".join(NAMES.get(language, language) for language in model.languages)
    remark = f"about {share:.0%} of this history is in {names}; the model {model.name} reads only {trained}"
    return remark, _remedy(plugins)


def _remedy(plugins: Plugins) -> str:
    """Return the steps to a model for many languages."""
    installed = sorted(spec.name for spec in plugins.models() if "mul" in spec.languages)
    name = installed[0] if installed and _MULTILINGUAL not in installed else _MULTILINGUAL
    steps = [f"patina models pull {name}", f"embedding_model: {name} in {RECIPE_FILE}"]
    packages = [] if installed else [install_command(*providers_of("model", name))]
    return ", then ".join([*packages, *steps])
