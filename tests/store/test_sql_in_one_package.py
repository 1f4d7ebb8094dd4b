"""All SQL is in `patina_hooks/store/`: elsewhere there are only values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.marked import ROOT

PACKAGE = ROOT / "patina_hooks"
STORE = PACKAGE / "store"

NOT_SQL = {
    "models/files/download.py": "DeleteCacheStrategy.execute of huggingface_hub",
}

_CALLS = {"execute", "executemany", "executescript"}
_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|PRAGMA|BEGIN|ROLLBACK|ATTACH|VACUUM|WITH)\b"
    r"|.*\b(FROM|JOIN|WHERE|ORDER BY|GROUP BY|INTO) \w",
    re.DOTALL,
)


def test_no_module_outside_the_store_holds_sql() -> None:
    holders = {path.relative_to(PACKAGE).as_posix(): lines for path in _others() if (lines := _sql(path))}
    new = {path: lines for path, lines in holders.items() if path not in NOT_SQL}
    assert new == {}, "move these statements into patina_hooks/store/"
    assert NOT_SQL.keys() - holders.keys() == set(), "remove these modules from NOT_SQL"


def test_every_function_of_the_store_takes_its_connection_first() -> None:
    late = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in STORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
        and "connection" in [argument.arg for argument in node.args.args]
        and node.args.args[0].arg not in ("connection", "self", "cls")
    ]
    assert late == []


def _others() -> Iterator[Path]:
    return (path for path in sorted(PACKAGE.rglob("*.py")) if STORE not in path.parents)


def _sql(path: Path) -> list[int]:
    """Return the lines with a statement, or a part of one, and with a call that runs one."""
    tree = ast.parse(path.read_text("utf-8"))
    texts = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value)
    ]
    calls = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS
    ]
    return sorted({*texts, *calls})
