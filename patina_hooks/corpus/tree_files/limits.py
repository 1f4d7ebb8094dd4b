"""Why a file of a tree is not read: by its path and mode, and by the rules of the tree. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from patina_hooks.corpus.tree_files.attributes import GENERATED, VENDORED, Attributes
from patina_hooks.text.gitignore import IgnoreRules

IGNORE_FILE: Final = ".patinaignore"
ATTRIBUTES_FILE: Final = ".gitattributes"
RULE_FILE_BYTES: Final = 64 * 1024
"""A longer file of rules is not read: each of its patterns may be compared with each path."""

LINK: Final = "symbolic link"
SUBMODULE: Final = "submodule"
SECRETS_FILE: Final = "may hold secrets"
IGNORED: Final = IGNORE_FILE
MARKED_GENERATED: Final = GENERATED
MARKED_VENDORED: Final = VENDORED
VENDORED_FOLDER: Final = "vendored"
MINIFIED: Final = "minified"

_MODES: Final = {"120000": LINK, "160000": SUBMODULE}
_SECRETS: Final = IgnoreRules(
    {
        "": """\
.env
.env.*
!.env.example
!.env.sample
!.env.template
*.pem
*.key
*.p12
*.pfx
*.jks
*.keystore
*.kdbx
id_rsa*
id_dsa*
id_ecdsa*
id_ed25519*
.netrc
.pgpass
.htpasswd
.git-credentials
.npmrc
.pypirc
"""
    }
)
_VENDORED: Final = IgnoreRules(
    {
        "": """\
node_modules/
bower_components/
vendor/
third_party/
third-party/
thirdparty/
site-packages/
.venv/
venv/
dist/
Pods/
"""
    }
)
_MINIFIED: Final = IgnoreRules({"": "*.min.*\n*.map\n*.bundle.*"})


@dataclass(frozen=True, slots=True)
class TreeRules:
    """The ignore files and attributes of one tree."""

    ignored: IgnoreRules
    attributes: Attributes

    @classmethod
    def parse(cls, ignore_files: Mapping[str, str], attribute_files: Mapping[str, str]) -> TreeRules:
        """Parse the texts of `.patinaignore` and `.gitattributes` by the folder that they lie in."""
        return cls(IgnoreRules(ignore_files), Attributes(attribute_files))


def rule_files(paths: Iterable[str], name: str) -> dict[str, str]:
    """Return the files of rules among the paths of a tree, by the folder that each is valid for.

    Args:
        paths: of regular files: git follows no link to one either.
        name: `IGNORE_FILE` or `ATTRIBUTES_FILE`.
    """
    split = ((path.rpartition("/"), path) for path in paths)
    return {folder: path for (folder, _, last), path in split if last == name}


def path_reason(path: str, mode: str, rules: TreeRules) -> str:
    """Name why a file is left out by its path, "" where it is not.

    Args:
        path: from the root of the tree.
        mode: git's, as six digits.
        rules: of the tree. `linguist-vendored=false` takes back what is guessed from a folder's name.
    """
    if mode in _MODES:
        return _MODES[mode]
    if _SECRETS.ignores(path):
        return SECRETS_FILE
    if rules.ignored.ignores(path):
        return IGNORED
    generated, vendored = (rules.attributes.state(path, name) for name in (GENERATED, VENDORED))
    if generated:
        return MARKED_GENERATED
    if vendored or (vendored is None and _VENDORED.ignores(path)):
        return MARKED_VENDORED if vendored else VENDORED_FOLDER
    return MINIFIED if generated is None and _MINIFIED.ignores(path) else ""
