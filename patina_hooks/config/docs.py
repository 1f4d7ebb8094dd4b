"""The defaults of the settings `[docs]`: which files are prose, and how many are read."""

from __future__ import annotations

from typing import Final

PROSE_FILES: Final = ("*.md", "*.markdown", "*.rst", "*.adoc", "*.asciidoc", "**/docs/**/*.txt")
"""Patterns as in .gitignore; `[docs] include` replaces them."""

DECLARED_FILES: Final = ("*.txt", "*.text", "*.mdx")
"""Files that are also prose if `.gitattributes` declare them `linguist-documentation`, which often applies to
a whole folder with its pictures and programs."""

MOST_FILES: Final = 5_000
"""The most files to read from one source; `[docs] max_files` replaces it."""

OTHER_TEXTS: Final = (
    *("[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]", "[Ll][Ii][Cc][Ee][Nn][CcSs][Ee].*", "LICEN[CS]E-*", "/LICENSES/"),
    *("COPYING", "COPYING.*", "NOTICE", "NOTICE.*", "PATENTS", "PATENTS.*"),
    *("[Tt][Hh][Ii][Rr][Dd][_-][Pp][Aa][Rr][Tt][Yy][_-]*", "ThirdPartyNotices*"),
    *("requirements*.txt", "constraints*.txt", "**/requirements/*.txt", "CMakeLists.txt", "robots.txt"),
    *("ISSUE_TEMPLATE*", "issue_template*", "PULL_REQUEST_TEMPLATE*", "pull_request_template*"),
    "/.patina/",
)
"""Licences, lists of packages, build files and forms, which are not prose; `[docs] exclude` adds to these."""
