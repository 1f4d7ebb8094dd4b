"""Queries on sessions and the commits that belong to them."""

from __future__ import annotations

from typing import Final

SESSION_OF_COMMIT: Final = """coalesce(
 (SELECT max(sc.session) FROM session_commit sc WHERE sc.commit_id = c.id),
 (SELECT max(t.id) FROM session t
  WHERE NOT t.ranged AND t.started <= c.committed AND c.committed <= t.ended
   AND t.started >= c.committed - (SELECT max(l.ended - l.started) FROM session l WHERE NOT l.ranged)))"""
"""SQL for the innermost session that holds the row `c` of `commits`: by ancestry, else by time.

That no session began longer ago than the longest one lasted leaves few of them to look at.
"""
