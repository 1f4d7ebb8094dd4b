"""The texts that an exported file is judged on: what a repository holds, and what breaks models."""

from __future__ import annotations

from typing import Final

_PARAGRAPH: Final = (
    "The worker reads the spool, looks at the live refs and compares them with the log. What is new is read "
    "by object id, cut into observations, embedded and written to the index in one transaction; what no ref "
    "reaches any more leaves it. A second worker that finds the lock held goes away at once, and looks at "
    "the spool again after the first let go, so that no event is left lying. "
)

TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "short": (
        "fix",
        "search",
        "git rebase",
        "a typo in the README",
        "why do we store vectors in a file of their own?",
        "remove the old cache",
        "the tests fail on Windows",
        "release 1.4.0",
        "the session ended with three open questions",
        "update dependencies",
        "rename the index",
        "who decided that hooks never wait?",
    ),
    "sentences": (
        "We decided against a daemon: it must be started, watched and updated, and a hook costs no more.",
        "Rename the index; remove the old cache, and test that nothing is lost when it is killed half way.",
        "The build broke because the lock file was written for another version of the resolver.",
        "Memory grows with every request until the process is killed; the connection pool is never closed.",
        "Users asked for dark mode twice this week, but the design system has no tokens for it yet.",
        "Pagination skips a row when two records share a time stamp, so order by id as well.",
        "The migration took forty minutes on production data, and the table was locked all the while.",
        "Encrypt the backups before they leave the machine, and try to restore one every month.",
    ),
    "long": (
        _PARAGRAPH * 4,
        "# Session\n\n## Goal\n\nMake the first index twice as fast.\n\n" + _PARAGRAPH * 9,
        " ".join(f"Step {number}: open the file, read line {number}, close it." for number in range(120)),
        "An incident report. " + "The queue was full, so the service refused new work. " * 60,
    ),
    "code": (
        "def open_model(path: Path) -> Model:\n    return Model(path, mask=None)  # TODO",
        "SELECT id, count(*) FROM event WHERE seen > ? GROUP BY id HAVING count(*) > 1 ORDER BY 2 DESC;",
        "for (let i = 0; i < rows.length; i++) { total += rows[i].price * rows[i].count; }",
        'fn main() -> Result<(), Box<dyn Error>> { println!("{}", read(&path)?); Ok(()) }',
        "git log --format='%H %ct' --no-merges -- src/ | sort -k2 -n | head -20",
        '{"model": "minilm-l6-v2", "dimensions": 384, "pooling": "mean", "layers": [1, 2, 3]}',
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nKeyError: 'name'",
        "src/patina_hooks/models/encoding.py",
    ),
    "multilingual": (
        "Wir haben uns gegen einen Dienst entschieden: Er müsste gestartet und überwacht werden.",
        "Corrige une fuite de mémoire : la connexion n'était jamais fermée.",
        "Se añadió la paginación a la lista de pedidos y una prueba para páginas vacías.",
        "репозиторий помнит каждый коммит и каждую сессию",
        "日本語のテキストも検索できるようにした。",
        "修复了合并分支时索引丢失的问题",
        "تم إصلاح الخطأ في قراءة الملفات الكبيرة",
        "हमने परीक्षण जोड़े और पुराना कोड हटाया",
        "테스트가 느려서 캐시를 추가했다",
        "Χαλάει η αναζήτηση σε κενό φάκελο",
    ),
    "empty": ("", " \n\t ", "."),
    "emoji": (
        "🙂",
        "ship it 🚀🚀🚀",
        "👩‍💻 pair programming with 🇫🇷 and 🇯🇵",
        "❌ failed, ✅ passed, ⚠️ skipped",
        "naïve café — “quoted” … ½ · 3 ≠ 1,4 €",
    ),
}
"""Texts by kind."""
