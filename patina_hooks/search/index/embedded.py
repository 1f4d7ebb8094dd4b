"""What an update of vectors did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Embedded:
    """Counts of an update of vectors.

    encoded: texts that a model had to read; pending: texts that were left for later; untried: none of them
    was begun; refused: text key -> why the model does not read it; unfinished: whether the index put off some
    of what makes it fast.
    """

    encoded: int = 0
    pending: int = 0
    untried: bool = False
    unfinished: bool = False
    added: int = 0
    removed: int = 0
    cut: int = 0
    rebuilt: str = ""
    refused: dict[bytes, str] = field(default_factory=dict)
