"""What husky 9.1.7 and 8.0.3 write into a repository, byte by byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

HUSKY_9 = """\
#!/usr/bin/env sh
[ "$HUSKY" = "2" ] && set -x
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n

[ ! -f "$s" ] && exit 0

if [ -f "$HOME/.huskyrc" ]; then
\techo "husky - '~/.huskyrc' is DEPRECATED, please move your code to ~/.config/husky/init.sh"
fi
i="${XDG_CONFIG_HOME:-$HOME/.config}/husky/init.sh"
[ -f "$i" ] && . "$i"

[ "${HUSKY-}" = "0" ] && exit 0

export PATH="node_modules/.bin:$PATH"
sh -e "$s" "$@"
c=$?

[ $c != 0 ] && echo "husky - $n script failed (code $c)"
[ $c = 127 ] && echo "husky - command not found in PATH=$PATH"
exit $c
"""
HUSKY_9_EVENTS = (
    "pre-commit", "pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-commit", "applypatch-msg",
    "pre-applypatch", "post-applypatch", "pre-rebase", "post-rewrite", "post-checkout", "post-merge",
    "pre-push", "pre-auto-gc",
)  # fmt: skip
HUSKY_8 = """\
#!/usr/bin/env sh
if [ -z "$husky_skip_init" ]; then
  debug () {
    if [ "$HUSKY_DEBUG" = "1" ]; then
      echo "husky (debug) - $1"
    fi
  }

  readonly hook_name="$(basename -- "$0")"
  debug "starting $hook_name..."

  if [ "$HUSKY" = "0" ]; then
    debug "HUSKY env variable is set to 0, skipping hook"
    exit 0
  fi

  if [ -f ~/.huskyrc ]; then
    debug "sourcing ~/.huskyrc"
    . ~/.huskyrc
  fi

  readonly husky_skip_init=1
  export husky_skip_init
  sh -e "$0" "$@"
  exitCode="$?"

  if [ $exitCode != 0 ]; then
    echo "husky - $hook_name hook exited with code $exitCode (error)"
  fi

  if [ $exitCode = 127 ]; then
    echo "husky - command not found in PATH=$PATH"
  fi

  exit $exitCode
fi
"""
HUSKY_8_HOOK = '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\necho "mine: $*"\n'


def husky_9(root: Path) -> None:
    """Do what `husky` does, which npm runs at each install."""
    _set_hooks_path(root, ".husky/_")
    _write(root / ".husky/_/.gitignore", "*")
    _write(root / ".husky/_/h", HUSKY_9)
    for event in HUSKY_9_EVENTS:
        _write(root / ".husky/_" / event, '#!/usr/bin/env sh\n. "$(dirname "$0")/h"', 0o755)


def husky_8(root: Path) -> None:
    """Do what `husky install` of husky 8 does."""
    _write(root / ".husky/_/.gitignore", "*")
    _write(root / ".husky/_/husky.sh", HUSKY_8)
    _set_hooks_path(root, ".husky")


def _set_hooks_path(root: Path, folder: str) -> None:
    subprocess.run(["git", "config", "core.hooksPath", folder], cwd=root, check=True)


def _write(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
