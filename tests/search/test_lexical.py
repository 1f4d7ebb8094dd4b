"""Words: stems, parts of identifiers, common words, and queries that are only words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.memory import plugins

from patina_hooks.corpus.observations import Extractors, ObservationChanges, add_live_document, store_source
from patina_hooks.search.retrieval.lexical import Words
from patina_hooks.specs.values import Document
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.log import Log

TEXTS = (
    "replace the databases with relational storage",
    "getHTTPResponse fails on a slow line",
    "keep max_retry_count below five",
    "we agreed on decisions about the parser",
    "Größe plus naïve talk",
)


def fill(log: Log, messages: Sequence[str]) -> None:
    extractors = Extractors(plugins())
    with log.writing() as connection:
        for number, message in enumerate(messages, 1):
            oid = f"{number:040x}"
            connection.execute(
                "INSERT INTO commits VALUES (?, ?, '', 0, 0, 0, 0, x'', NULL, NULL)", (number, oid)
            )
            store_source(connection, extractors, Document("commit", oid, message))
            add_live_document(connection, extractors, DocumentLocation("commit", oid), ObservationChanges())


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(Log(tmp_path / "patina")) as log:
        fill(log, TEXTS)
        yield log


def found(log: Log, query: str) -> list[str]:
    ask = "SELECT text FROM observation WHERE id = ?"
    hits = Words(log.connection, query).observations(100)
    assert hits == sorted(hits, key=lambda hit: -hit[1])
    return [log.connection.execute(ask, (number,)).fetchone()[0] for number, _ in hits]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("databases", 0), ("database", 0), ("DATABASES", 0), ("relation", 0), ("replacing", 0),
        ("agreed", 3), ("agree", 3), ("decision", 3), ("decisions", 3), ("parsers", 3),
        ("http response", 1), ("HTTPResponse", 1), ("getHTTPResponse", 1), ("responses", 1),
        ("retry", 2), ("max_retry_count", 2), ("maxRetryCount", 2),
        ("grosse größe", 4), ("naive", 4),
    ],
)  # fmt: skip
def test_a_word_is_found_by_its_forms_and_parts(log: Log, query: str, text: int) -> None:
    assert found(log, query) == [TEXTS[text]]


@pytest.mark.parametrize("text", TEXTS)
def test_every_word_of_a_text_finds_it(log: Log, text: str) -> None:
    for word in text.split():
        assert text in found(log, word)


@pytest.mark.parametrize(
    "query",
    ['"', "words:", "relational AND nothing", "NOT relational", "relational*", "^relational", "(relational",
     "NEAR(relational, 2)", '"relational" - "storage', "words : relational", "{words} : relational", "q\0z"],
)  # fmt: skip
def test_a_query_has_no_syntax(log: Log, query: str) -> None:
    assert found(log, query) == ([TEXTS[0]] if "relational" in query else [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(st.characters(), max_size=100))
def test_any_text_is_a_query(log: Log, query: str) -> None:
    assert set(found(log, query)) <= set(TEXTS)


@pytest.mark.parametrize("query", ["", "  ", "?!", "\ud800", "zzyzx"])
def test_a_query_without_known_words_finds_nothing(log: Log, query: str) -> None:
    assert found(log, query) == []


def test_a_long_query_counts_from_its_beginning(log: Log) -> None:
    tail = " ".join(f"aaa{number}" for number in range(500))
    assert found(log, f"relational {tail}") == [TEXTS[0]]


def test_rarest_words_of_a_long_question_are_asked_for_when_they_stand_last(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(80))
    with closing(Log(tmp_path / "many")) as log:
        fill(log, [words, words, "a unicorn"])
        assert found(log, f"{words} unicorn")[0] == "a unicorn"
        assert found(log, " ".join(f"absent{number}" for number in range(300)) + " unicorn") == ["a unicorn"]


def test_common_words_are_left_out_while_others_remain(tmp_path: Path) -> None:
    with closing(Log(tmp_path / "many")) as log:
        fill(log, [f"fix the number {number}" for number in range(40)] + ["fix the unicorn"])
        assert found(log, "fix the unicorn") == ["fix the unicorn"]
        assert len(found(log, "fix the")) == 41


def test_equals_at_the_border_are_left_out_all_of_them(log: Log) -> None:
    fill_from = [f"{'x' * 1} marmot tail" for _ in range(6)] + ["marmot marmot"]
    extractors = Extractors(plugins())
    with log.writing() as connection:
        for number, message in enumerate(fill_from, 100):
            oid = f"{number:040x}"
            connection.execute(
                "INSERT INTO commits VALUES (?, ?, '', 0, 0, 0, 0, x'', NULL, NULL)", (number, oid)
            )
            store_source(connection, extractors, Document("commit", oid, message))
            add_live_document(connection, extractors, DocumentLocation("commit", oid), ObservationChanges())
    hits = Words(log.connection, "marmot").observations(4)
    assert len(hits) == 1
    assert len(Words(log.connection, "marmot").observations(100)) == 7


CHINESE = (
    *(
        "修复登录页面的显示错误",
        "更新数据库迁移脚本",
        "优化缓存策略",
        "添加单元测试",
        "重构用户模块",
        "升级依赖版本",
    ),
    *("修改配置文件", "删除无用代码", "调整日志级别", "支持多语言"),
)


def test_chinese_commit_is_found_first_when_a_hundred_others_are_stored(tmp_path: Path) -> None:
    others = [f"{CHINESE[number % len(CHINESE)]} {number}" for number in range(100)]
    with closing(Log(tmp_path / "chinese")) as log:
        fill(log, [*others[:60], "替换数据库连接池为Druid", *others[60:]])
        assert found(log, "连接池换成 Druid")[0] == "替换数据库连接池为Druid"
        assert found(log, "连接池换成")[0] == "替换数据库连接池为Druid"
        assert found(log, "池") == ["替换数据库连接池为Druid"]
        assert set(found(log, "缓存")) == {text for text in others if "缓存" in text}
        assert found(log, "存缓") == []


def test_common_pairs_are_left_out_when_other_pairs_remain(tmp_path: Path) -> None:
    with closing(Log(tmp_path / "many")) as log:
        fill(log, [f"修复数据 {number}" for number in range(40)] + ["修复独角"])
        assert found(log, "修复独角") == ["修复独角"]
        assert len(found(log, "修复")) == 41
