"""Names of the code: each class means one thing, values are named by nouns."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator

from support.marked import ROOT

FILES = sorted([*ROOT.glob("patina_hooks/**/*.py"), *ROOT.glob("plugins/*/patina_*/**/*.py")])
PRONOUNS_AND_VERBS = frozenset(
    """
    one ones other others this that these those it its who whom whose which what why when where how here
    there each every both none nothing something anything somebody nobody found told said wanted known
    asked given gave gives got taken took kept left done made makes seen saw unseen heard hears wants
    needs begun began gone goes came comes reads wrote writes written runs ran stands stood shown showed
    tells asks says say ask want tell
    """.split()  # noqa: SIM905
)
SAME_IN_EACH_PLUGIN = frozenset({"_Settings"})
"""Classes of one meaning that several plugins have."""


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Yield parameters, assigned names and names of exceptions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg not in ("self", "cls"):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def test_fewer_than_one_in_a_hundred_bound_names_is_a_pronoun_or_a_verb() -> None:
    names = Counter(name for path in FILES for name in bound_names(ast.parse(path.read_text("utf-8"))))
    bad = {name: count for name, count in names.items() if name.strip("_") in PRONOUNS_AND_VERBS}
    assert names.total() > 10_000
    assert sum(bad.values()) < names.total() / 100, bad


def test_class_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    repeated = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert repeated.keys() <= SAME_IN_EACH_PLUGIN, repeated


def test_no_module_is_named_by_a_pronoun_or_a_verb() -> None:
    assert not [path.name for path in FILES if path.stem in PRONOUNS_AND_VERBS]
