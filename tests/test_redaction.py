"""Secrets of known forms are found wherever people leave them; ordinary text is left as it is."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.history import Corpus, corpora, history_folder
from support.planted_secrets import plant

from patina_hooks.text.redaction import FORMS, Form, Redaction, find_secrets, redact_secrets

PLANTED = 500


def test_secrets_are_redacted_when_500_are_planted() -> None:
    kept = [planted for planted in plant(PLANTED, seed=9) if planted.secret in redact_secrets(planted.text)]
    assert len(kept) <= PLANTED // 100, kept


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize(
    "around", ["{}", "see {}.", '{{"a": "{}"}}', "`{}`", "({})", "a\\n{}\\nb", "記号{}です"]
)
def test_example_of_a_form_is_named_when_it_stands_in_a_text(form: Form, around: str) -> None:
    text = around.format(form.example)
    assert [secret.form for secret in find_secrets(text)] == [form.name]
    assert f"[redacted:{form.name}]" in redact_secrets(text)


@pytest.mark.parametrize("corpus", corpora(), ids=lambda corpus: corpus.name)
def test_real_documents_are_unchanged_when_they_hold_no_secret(corpus: Corpus) -> None:
    texts = [path.read_text(errors="replace") for path in corpus.all]
    history = history_folder() if corpus.name == "history" else None
    if history is not None:
        lines = (history / "commits.jsonl").read_text().splitlines()
        texts += [json.loads(line).get("message") or "" for line in lines]
    megabytes = sum(map(len, texts)) / 1e6
    assert sum(len(find_secrets(text)) for text in texts) <= megabytes


@pytest.mark.parametrize(
    "text",
    [
        "API_KEY=<your-key>", "API_KEY=${VAR}", "API_KEY=$API_KEY", "API_KEY=xxx", "API_KEY=changeme",
        'SECRET_KEY = os.environ["SECRET_KEY"]', "DB_PASSWORD=example", "TOKEN_KEY=os.environ.get('X')",
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}", "DB_PASSWORD=$(pass show db)", "SSH_KEY=~/.ssh/id_rsa",
        "TLS_KEY=/etc/ssl/private/tls.pem", "MAX_TOKEN=4096", "CACHE_KEY=user:12:profile1", "A_PASSWORD=%s",
        "PUBLIC_KEY=ssh-ed25519-AAAAC3NzaC1", "SECRET_KEY: used for signing cookies", "the key: value2 store",
        "https://user:password@host/", "https://user:${PASS}@host/", "http://localhost:8080/@scope/name",
        "git@github.com:owner/name.git", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-your-api-key-goes-here",
        "xoxb-your-token-here", "task-abcdefghijklmnopqrst0123456789", "next_token = tokens[index1]",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "a line with -----BEGIN PRIVATE KEY-----",
        "password = getpass.getpass()", "token = request.headers['x1']", "if token == other1: pass",
    ],
)  # fmt: skip
def test_text_is_unchanged_when_it_holds_a_placeholder_or_code(text: str) -> None:
    assert redact_secrets(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgres://u:pw@db", "postgres://u:[redacted:url-password]@db"),
        ("sk_test_x9Kq2mTz7LpR4wBn8Yc1Hd5J", "[redacted:stripe-key]"),
        ("redis://:p4ss@h/0", "redis://:[redacted:url-password]@h/0"),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted:assignment]"),
        ("PASSWORD=hunter2", "PASSWORD=[redacted:assignment]"),
        ("DB_PASSWORD=a1b2&c3 x", "DB_PASSWORD=[redacted:assignment] x"),
        ('A_SECRET="correct horse"', 'A_SECRET="[redacted:assignment]"'),
        ('  "API_TOKEN": "abZ9k2mT",', '  "API_TOKEN": "[redacted:assignment]",'),
        ('{\\"DB_PASSWORD\\": \\"s3cr3tpw9\\"}', '{\\"DB_PASSWORD\\": \\"[redacted:assignment]\\"}'),
        ("client_secret: a1b2c3d4e5f6g7", "client_secret: [redacted:assignment]"),
        (
            "/x?api_key=a1b2c3d4e5f6g7h8&access_token=z1b2c3d4e5f6g7h8&page=2",
            "/x?api_key=[redacted:assignment]&access_token=[redacted:assignment]&page=2",
        ),
        (
            "https://x-access-token:ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/o/r",
            "https://x-access-token:[redacted:github-token]@github.com/o/r",
        ),
    ],
)
def test_only_the_value_is_replaced_when_a_name_or_address_holds_a_secret(text: str, redacted: str) -> None:
    assert redact_secrets(text) == redacted


def test_lines_keep_their_numbers_when_a_private_key_is_redacted() -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + "MIIEvQIBADANBgkqhkiG9w0B\n" * 20
        + "-----END RSA PRIVATE KEY-----"
    )
    text = f"first\n{key}\nDB_PASSWORD=hunter2\nlast"
    assert redact_secrets(text).split("\n")[-1] == "last"
    assert redact_secrets(text).count("\n") == text.count("\n")
    assert [(secret.form, secret.line) for secret in find_secrets(text)] == [
        ("private-key", 2),
        ("assignment", 24),
    ]


def test_key_is_redacted_when_its_end_is_missing() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nMIIEvQIBADANBgkqhkiG9w0B\n\nThe end."
    assert redact_secrets(text) == "[redacted:private-key]\n\n\n\nThe end."


@given(st.integers(0, 1 << 30), st.text(max_size=40))
def test_second_redaction_changes_nothing_when_a_text_is_redacted(seed: int, tail: str) -> None:
    text = "\n".join(planted.text for planted in plant(4, seed)) + tail
    redacted = redact_secrets(text)
    assert redact_secrets(redacted) == redacted
    assert redacted.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "piece",
    ["glpat-", "eyJ", "sk-", "pypi-", "xoxb-", "://", "://a:", "KEY=", "A_KEY=", 'A_PASSWORD="', "-----", "-",
     "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaaa.", "secret_access_key= ", "token:", "AKIA", "\\", "A",
     "A_KEY=your-"],
)  # fmt: skip
def test_a_megabyte_on_one_line_is_read_in_linear_time_when_it_repeats_a_beginning(piece: str) -> None:
    """Hours, where each beginning is read to the end of the line: it need not be timed."""
    text = piece * ((1 << 20) // len(piece))
    assert redact_secrets(text + " end").endswith(" end")


def test_literals_are_in_every_match_when_a_form_is_searched() -> None:
    for planted in plant(PLANTED, seed=1):
        for form in FORMS:
            for match in re.finditer(form.pattern, planted.text):
                assert any(literal in match[0] for literal in form.literals)


def test_signature_changes_when_the_rules_do() -> None:
    rules = [Redaction(), Redaction(builtin=False), Redaction(patterns=("a",)), Redaction(False, ("a",))]
    assert len({rule.signature for rule in rules}) == len(rules)
    assert Redaction(builtin=False).signature == ""


def test_random_words_are_unchanged_when_a_text_has_many() -> None:
    draw = random.Random(7)
    words = ["token", "key", "secret", "password", "the", "is", "=", ":", "API", "auth_token", "None", "user"]
    text = " ".join(draw.choices(words, k=20_000))
    assert redact_secrets(text) == text
