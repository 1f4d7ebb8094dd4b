"""The one way to the network: files of a model hub by `huggingface_hub`, which is imported nowhere else.

Its HTTP layer is used and not its cache: a download goes on where an earlier one was cut off. It heeds
HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and proxies, and draws a bar on a terminal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, PatinaError
from patina_hooks.plugins.installation import install_command
from patina_hooks.specs.models import HubFile
from patina_hooks.system.telemetry import allow_network

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_NAME: Final = "patina-hooks"
_OFFLINE_NAMES: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE: Final = ("1", "ON", "YES", "TRUE")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Sizes and offsets count the bytes as they are.
_UNPACKED: Final = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file as the hub has it: at which commit, how many bytes (0: not told), and the sha256 that the hub
    says it has ("" for small files, which it knows by another hash)."""

    file: HubFile
    commit: str
    size: int
    sha256: str


def require_hub() -> None:
    """Raise `ModelError` where what pulling takes is not installed."""
    allow_network()
    try:
        # 0.3 s to import: only when something is pulled.
        from huggingface_hub import constants
    except ImportError:
        raise ModelError(
            "pulling a model takes huggingface_hub, which is not installed",
            hint=install_command("patina-hooks[hub]"),
        ) from None
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # The library may have been imported while this process was offline.
    constants.HF_HUB_OFFLINE = any(os.environ.get(name, "").upper() in _TRUE for name in _OFFLINE_NAMES)


def find_source(file: HubFile, commit: str = "") -> Source:
    """Ask the hub for the file, at `commit` or else at its revision. `ModelError` says why not."""
    from huggingface_hub import get_hf_file_metadata

    with _explained(file):
        told = get_hf_file_metadata(
            _address(file, commit or file.revision), library_name=_NAME, library_version=version(_NAME)
        )
    return Source(file, _commit(file, told), told.size or 0, _content_hash(told))


def fetch(source: Source, to: Path) -> None:
    """Download to `to`, from where an earlier download of this commit left off. Keeps what came where it
    is cut off. Raises `ModelError`, or OSError where `to` cannot be written."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    headers = build_hf_headers(library_name=_NAME, library_version=version(_NAME))
    with to.open("ab") as part, _explained(source.file):
        # Anything else than a part of it is not worth going on with.
        if source.size and part.tell() > source.size:
            part.truncate(0)
        http_get(
            _address(source.file, source.commit),
            part,
            resume_size=part.tell(),
            headers={**headers, **_UNPACKED},
            expected_size=source.size or None,
            displayed_filename=f"{source.file.repository.rpartition('/')[2]}/{source.file.path}",
        )
        part.flush()
        os.fsync(part.fileno())


def _address(file: HubFile, revision: str) -> str:
    from huggingface_hub import hf_hub_url

    # The library reads its variables when it is imported; this one is read when it counts.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    return hf_hub_url(file.repository, file.path, revision=revision, endpoint=endpoint)


def _commit(file: HubFile, told: HfFileMetadata) -> str:
    """It is put into addresses and a record: nothing but hexadecimal digits."""
    if not told.commit_hash or not _COMMIT.fullmatch(told.commit_hash):
        raise ModelError(
            f"what answers for {file.repository} does not say which commit it gives: it is no model hub",
            hint="look at HF_ENDPOINT and at your proxy",
        )
    return told.commit_hash


def _content_hash(told: HfFileMetadata) -> str:
    """The hub's tag of a large file is the sha256 of its content."""
    return told.etag if told.etag and _SHA256.fullmatch(told.etag) else ""


@contextmanager
def _explained(file: HubFile) -> Iterator[None]:
    """What the hub's library raises, as a `ModelError`; a disk that fails stays an OSError."""
    try:
        yield
    except PatinaError:
        raise
    except Exception as error:  # those of its HTTP client have no common base that it exports
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _as_model_error(error, file) from error


def _as_model_error(error: Exception, file: HubFile) -> ModelError:
    from huggingface_hub import errors

    what = f"{file.path} of {file.repository}"
    known = (
        (errors.OfflineModeIsEnabled, f"{what} is not here, and HF_HUB_OFFLINE allows no network",
         "unset HF_HUB_OFFLINE"),
        (errors.GatedRepoError, f"{what} is given to those alone who agreed to its terms on the hub",
         f"agree to them at the page of {file.repository}, then: hf auth login"),
        (errors.RepositoryNotFoundError, f"the hub has no repository {file.repository} that you may read",
         "hf auth login, if it is private"),
        (errors.RevisionNotFoundError, f"{file.repository} has no revision {file.revision!r}", ""),
        (errors.EntryNotFoundError, f"{file.repository} has no file {file.path}", ""),
    )  # fmt: skip
    for kind, message, hint in known:
        if isinstance(error, kind):
            return ModelError(message, hint=hint)
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(
        f"{what} could not be had: {said}", hint="again in a while: what came is kept, and it goes on there"
    )
