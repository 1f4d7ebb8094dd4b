"""Download files of a model hub into the user's hub cache, by the public API of `huggingface_hub`.

Nothing else in this package imports the library or opens a connection. The cache is the one that other
programs use: what is in it is not fetched again. The library honours HF_ENDPOINT, HF_HUB_CACHE,
HF_HUB_OFFLINE, HF_TOKEN and proxies, and draws a progress bar on a terminal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, PatinaError
from patina_hooks.models.files.hub import PulledFile
from patina_hooks.models.files.weights import sha256_of
from patina_hooks.plugins.installation import install_command
from patina_hooks.specs.models import HubFile
from patina_hooks.system.telemetry import allow_network

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME: Final = "patina-hooks"
_OFFLINE_NAMES: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE: Final = ("1", "ON", "YES", "TRUE")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the hub at a commit.

    size: bytes to download, 0 where they are in the cache or unknown. sha256: of the content, as the hub
    states it for large files, "" where it does not. cached: whether it is in the cache; altered: whether the
    cache holds other content than was expected.
    """

    file: HubFile
    commit: str
    size: int = 0
    sha256: str = ""
    cached: bool = False
    altered: bool = False


def require_hub() -> None:
    """Raise `ModelError` if huggingface_hub is not installed."""
    try:
        # 0.3 s to import: only when something is pulled or removed.
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise ModelError(
            "huggingface_hub is not installed", hint=install_command("patina-hooks[hub]")
        ) from None


def connect_to_hub() -> None:
    """Let huggingface_hub use the network, as far as the user's environment allows it.

    Raises:
        ModelError: it is not installed.
    """
    require_hub()
    allow_network()
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    # The library may have been imported while this process was offline.
    constants.HF_HUB_OFFLINE = any(os.environ.get(name, "").upper() in _TRUE for name in _OFFLINE_NAMES)


def hub_cache() -> Path:
    """Return the resolved folder of the user's hub cache, whether or not it exists."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser().resolve()


def find_source(file: HubFile, commit: str = "", expected: str = "") -> Source:
    """Look the file up in the cache, then on the hub.

    Args:
        file: the file, at a revision.
        commit: the commit to take; by default what the revision is now.
        expected: the sha256 that the file must have, "" for any.

    Raises:
        ModelError: the file cannot be found, with the reason.
    """
    from huggingface_hub import hf_hub_url, try_to_load_from_cache

    with _explained(file):
        api = _api()
        commit = commit or _resolve_commit(api, file)
        cached = try_to_load_from_cache(file.repository, file.path, revision=commit)
        if isinstance(cached, str) and _is_intact(Path(cached), expected):
            return Source(file, commit, cached=True)
        url = hf_hub_url(file.repository, file.path, revision=commit, endpoint=_endpoint())
        metadata = api.get_hf_file_metadata(url=url)
    return Source(
        file, commit, metadata.size or 0, _content_hash(metadata.etag or ""), altered=isinstance(cached, str)
    )


def fetch(source: Source) -> Path:
    """Return the file's path in the cache, downloaded if it is not there.

    Raises:
        ModelError: it cannot be downloaded, with the reason.
        OSError: the cache cannot be written.
    """
    file = source.file
    with _explained(file):
        path = _api().hf_hub_download(
            file.repository, file.path, revision=source.commit, force_download=source.altered
        )
    return Path(path)


def delete_cached(files: Sequence[PulledFile]) -> int:
    """Delete files of the cache and return the bytes freed; content that other snapshots use stays."""
    return sum(_delete_from(cache, files) for cache in {file.cache for file in files})


def _delete_from(cache: str, files: Sequence[PulledFile]) -> int:
    from huggingface_hub import scan_cache_dir

    paths = {file.location for file in files}
    content = scan_cache_dir(cache)
    strategy = content.delete_files(
        *(
            file
            for repository in content.repos
            for revision in repository.revisions
            for file in revision.files
            if file.file_path in paths
        )
    )
    strategy.execute()
    return strategy.expected_freed_size


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=_endpoint(), library_name=_NAME, library_version=version(_NAME))


def _endpoint() -> str | None:
    """Read HF_ENDPOINT now: the library reads it when it is imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _resolve_commit(api: HfApi, file: HubFile) -> str:
    """Return what the revision is now: only hexadecimal digits, since it is used in addresses and paths."""
    commit = api.resolve_revision(file.repository, revision=file.revision).resolved
    if not _COMMIT.fullmatch(commit):
        raise ModelError(
            f"cannot download from {file.repository}: the server does not answer like a model hub",
            hint="check HF_ENDPOINT and the proxy",
        )
    return commit


def _is_intact(cached: Path, expected: str) -> bool:
    expected = expected or _blob_hash(cached)
    return not expected or sha256_of(cached) == expected


def _blob_hash(path: Path) -> str:
    """Return the sha256 by which the cache names a file's content, "" where it does not.

    The first link has it; a further one leads to the cache's store, where names are other hashes.
    """
    return _content_hash(Path(os.readlink(path)).name) if path.is_symlink() else ""  # noqa: PTH115


def _content_hash(etag: str) -> str:
    """Return the tag of a large file, which is the sha256 of its content; "" for a small one."""
    return etag if _SHA256.fullmatch(etag) else ""


@contextmanager
def _explained(file: HubFile) -> Iterator[None]:
    """Turn errors of the library into `ModelError`; errors of the disk remain OSError."""
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

    problem = f"cannot download {file.path} of {file.repository}"
    reasons = (
        (errors.OfflineModeIsEnabled, "HF_HUB_OFFLINE is set and it is not in the hub cache",
         "unset HF_HUB_OFFLINE"),
        (errors.GatedRepoError, "its authors restrict access",
         f"request access on the page of {file.repository}, then: hf auth login"),
        (errors.RepositoryNotFoundError, "the repository does not exist or is private",
         "if it is private: hf auth login"),
        (errors.RevisionNotFoundError, f"the repository has no revision {file.revision!r}", ""),
        (errors.RemoteEntryNotFoundError, "the repository has no such file", ""),
    )  # fmt: skip
    # The library wraps some errors in its own error of a cache without the file.
    for cause in filter(None, (error, error.__cause__)):
        for kind, reason, hint in reasons:
            if isinstance(cause, kind):
                return ModelError(f"{problem}: {reason}", hint=hint)
    reason = str(error.__cause__ or error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(
        f"{problem}: {reason}",
        hint="check the network and retry; complete files are not fetched again",
    )
