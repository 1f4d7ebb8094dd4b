"""Languages of a history: named where the model does not read them, silent for English ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.history import Corpus, corpora, history_folder
from support.memory import Memory
from support.shell import Shell

from patina_hooks.models.catalog.languages import MUCH, measure_languages, uncovered_languages
from patina_hooks.plugins.manager import Plugins

CHINESE = ("修复登录页面的显示错误", "替换数据库连接池为Druid", "优化缓存策略", "添加单元测试")
TEXTS = {
    "zh": CHINESE,
    "ja": ("データベース接続を切り替える", "設定ファイルを更新", "バグを修正した"),
    "ko": ("로그인 오류를 수정", "캐시 정책 개선", "테스트 추가"),
    "ru": ("Исправлена ошибка входа", "Обновлены зависимости"),
    "de": (
        "Fehler beim Laden der Konfiguration",
        "Die Tests werden mit der neuen Version ausgeführt",
        "Doku für den Parser",
    ),
    "fr": ("ajoute le support des filtres", "corrige une erreur dans la page", "mise à jour des dépendances"),
    "es": ("corrige el error con los filtros", "añade las pruebas para el servidor"),
    "pt": ("corrige o erro com uma lista", "adiciona testes para não falhar"),
}


@pytest.mark.parametrize("language", TEXTS)
def test_language_is_named_when_a_history_is_in_it(language: str) -> None:
    shares = measure_languages(TEXTS[language] * 10)
    assert max(shares, key=lambda name: shares[name]) == language
    assert uncovered_languages(shares, ("en",)).keys() == {language}
    assert uncovered_languages(shares, ("mul",)) == {}
    assert uncovered_languages(shares, ()) == {}


def test_share_is_estimated_when_two_languages_are_mixed() -> None:
    shares = measure_languages([*CHINESE * 10, *["fix the crash of the worker when it is killed"] * 40])
    assert shares["zh"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "texts",
    [
        [
            "🎉 feat: x",
            "✨ add emoji",
            "🐛 bug",
            "fix",
            "wip",
            "v1.2.3",
            "typo",
            "CI",
            "lint",
            "LGTM",
            "Δ",
            "日本",
        ],
        [
            "Björn Müller fixed it",
            "Merge branch 'größe' of José",
            "Co-authored-by: 山田太郎 <y@x.jp>",
            "fix it",
        ],
        ["`der_die_das = und(les, que)`", "call el.und.los()", "src/de/la/por.py", "a ≤ b → c", "naïve café"],
        [
            "update deps",
            "bump version",
            "die on error",
            "use man pages",
            "no more con artists",
            "on par with",
        ],
    ],
)
def test_nothing_is_uncovered_when_english_has_names_code_and_emoji(texts: list[str]) -> None:
    shares = measure_languages(texts * 5)
    assert sum(uncovered_languages(shares, ("en",)).values()) < MUCH


@pytest.mark.parametrize("corpus", corpora(), ids=lambda corpus: corpus.name)
def test_nothing_is_uncovered_when_real_english_documents_are_read(corpus: Corpus) -> None:
    lines = [line for path in corpus.all for line in path.read_text(errors="replace").splitlines()]
    history = history_folder() if corpus.name == "history" else None
    if history is not None:
        commits = map(json.loads, (history / "commits.jsonl").read_text().splitlines())
        lines += [line for commit in commits for line in (commit.get("message") or "").splitlines()]
    assert sum(uncovered_languages(measure_languages(lines), ("en",)).values()) < 0.01


def test_nothing_is_measured_when_there_is_hardly_any_text() -> None:
    assert measure_languages(["修复登录"] * 3) == {}


def test_init_names_a_model_when_much_of_the_history_is_chinese(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    for number in range(12):
        memory.commit(f"{CHINESE[number % 4]} {number}")
    spec = Plugins.load(disabled=()).model("minilm-l6-v2")
    assert spec.languages == ("en",)
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: minilm-l6-v2\n")
    done = Shell(memory.root).run("init", "--no-hooks")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "Chinese" in line]
    assert "of this history is in Chinese; the model minilm-l6-v2 reads only English" in line
    assert "qwen3-embedding-0.6b" in done.stderr


def test_init_is_silent_when_the_history_is_english(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    for number in range(12):
        memory.commit(f"fix the crash of worker {number} 🎉")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: minilm-l6-v2\n")
    done = Shell(memory.root).run("init", "--no-hooks")
    assert "of this history is in" not in done.stderr
