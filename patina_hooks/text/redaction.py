"""Find secrets of known forms, and redact them before texts are stored or sent.

Each form is a row of `FORMS`. Every match of a form contains one of its literals: a text without them is not
searched, so that an ordinary message costs microseconds. Patterns start with literals and read a character a
bounded number of times; `re` compiles and caches them on first use. Entropy is not used.

A change of `FORMS` or of the rules below increases `VERSION`: what was stored before is then read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

VERSION: Final = 2
REDACTED: Final = "[redacted]"
"""The replacement for a match of a user's pattern; that of a built-in form is `[redacted:<form>]`."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of secret.

    literals: every match contains one of them.
    pattern: its group `secret`, or else the whole match, is the secret.
    example: an invented secret.
    """

    name: str
    literals: tuple[str, ...]
    pattern: str
    example: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret in a text. start, end: its position; line: 1-based."""

    form: str
    start: int
    end: int
    line: int


def _form(name: str, literals: str, pattern: str, example: str) -> Form:
    return Form(name, tuple(literals.split()), pattern, example)


_A = r"[A-Za-z0-9]"
_D = r"[A-Za-z0-9_-]"
_KEY_NAME = r"(?P<word>KEY|TOKEN|SECRET|PASSWORD|PASSWD|key|token|secret|password|passwd)"

FORMS: Final = (
    _form(
        "private-key",
        "PRIVATE",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]*(?:-(?!----)[^-]*)*-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+)",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----",
    ),
    _form(
        "aws-access-key-id",
        "AKIA ASIA ABIA ACCA",
        r"A(?:KIA|SIA|BIA|CCA)(?:(?<![A-Za-z0-9+/]....)|(?<=\\[nrt]....))[A-Z0-9]{16}(?![A-Za-z0-9+/=])",
        "AKIAQ3EGRHVY5K7XWL2M",
    ),
    _form(
        "aws-secret-access-key",
        "ecret SECRET",
        r"(?:[Ss]ecret[ _-]?[Aa]ccess[ _-]?[Kk]ey|SECRET_ACCESS_KEY|aws_secret_key|AWS_SECRET_KEY|AWS_SECRET)"
        r"\\?[\"'`*]{0,2}\s{0,8}(?:=>|:=|[=:])\s{0,8}\\?[\"'`*]{0,2}\s{0,2}"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        "aws_secret_access_key = kX9vQ2mTz7LpR4wBn8Yc1Hd5Jf3Gs6Ka0Ee/Uu+Q",
    ),
    _form(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rf"g(?:h[pousr]_{_A}{{36,255}}|ithub_pat_[A-Za-z0-9_]{{36,255}})",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    ),
    _form(
        "gitlab-token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- glagent- gloas-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-(?=[a-z._-]{0,300}[A-Z0-9])[A-Za-z0-9_.-]{20,300}",
        "glpat-x9Kq2mTz7LpR4wBn8Yc1",
    ),
    _form(
        "slack-token",
        "xoxa- xoxb- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xoxc- xoxd- xapp-",
        r"x(?:ox[abceoprsd][-.]|app-)(?=[A-Za-z./%+-]{0,300}[0-9])[A-Za-z0-9./%+-]{10,300}",
        "xoxb-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1",
    ),
    _form(
        "webhook",
        "hooks.slack.com discord.com/api discordapp.com/api",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,200}"
        rf"|discord(?:app)?\.com/api/webhooks/[0-9]{{5,30}}/{_D}{{20,200}})",
        "hooks.slack.com/services/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",
    ),
    _form(
        "anthropic-key",
        "sk-ant-",
        rf"sk-ant-(?={_D}{{0,200}}[0-9]){_D}{{20,300}}",
        "sk-ant-api03-x9Kq2mTz7LpR4wBn8Yc1Hd5J",
    ),
    _form(
        "openai-key",
        "sk-",
        rf"sk-(?:(?<![A-Za-z0-9_]sk-)|(?<=\\[nrt]sk-))"
        rf"(?:(?:proj|svcacct|admin|None|or-v1)-(?={_D}{{0,300}}[0-9A-Z]){_D}{{20,300}}"
        rf"|(?={_A}{{0,300}}[0-9]){_A}{{20,300}}(?![A-Za-z0-9-]))",
        "sk-proj-x9Kq2mTz7LpR4wBn8Yc1Hd5Jf3Gs6Ka0",
    ),
    _form("google-api-key", "AIza", rf"AIza{_D}{{35}}(?!{_D})", "AIzaSyA9vQ2mTz7LpR4wBn8Yc1Hd5Jf3Gs6Ka0E"),
    _form(
        "google-oauth",
        "GOCSPX- ya29. 1//0",
        rf"(?:GOCSPX-{_D}{{20,60}}|ya29\.{_D}{{20,500}}|1//0{_D}{{30,300}})",
        "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",
    ),
    _form("npm-token", "npm_", rf"npm_{_A}{{36}}(?!{_A})", "npm_x9Kq2mTz7LpR4wBn8Yc1Hd5Jf3Gs6Ka0EeUu"),
    _form(
        "pypi-token",
        "pypi-",
        rf"pypi-(?:AgE{_D}{{16,500}}|(?=[a-z0-9_-]{{0,300}}[A-Z])(?=[A-Za-z_-]{{0,300}}[0-9]){_D}{{50,500}})",
        "pypi-AgEIcHlwaS5vcmcCJDU3OTM1MjliLWE0YTAtNDcwYy04YzBj",
    ),
    _form(
        "stripe-key",
        "sk_live_ rk_live_ sk_test_ rk_test_ whsec_",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9+/=]{20,250})",
        "sk_live_x9Kq2mTz7LpR4wBn8Yc1Hd5J",
    ),
    _form(
        "jwt",
        "eyJ",
        rf"eyJ(?:(?<![A-Za-z0-9_-]eyJ)|(?<=\\[nrt]eyJ)){_D}{{8,4000}}\.eyJ{_D}{{8,8000}}\.{_D}{{16,2000}}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    ),
    _form(
        "url-password",
        "://",
        r"://[^\s:/@?#\"'`<>]{0,200}:(?P<secret>[^\s/\"'`<>]{1,300})@(?=[A-Za-z0-9\[_])",
        "postgres://app:x9Kq2mTz@db.internal/app",
    ),
    _form(
        "assignment",
        "KEY TOKEN SECRET PASSWORD PASSWD key token secret password passwd",
        rf"{_KEY_NAME}\\?[\"'`]?(?P<gap>[ \t]{{0,8}})(?P<sign>=>|:=|=(?!=)|:(?!:))(?P<space>[ \t]{{0,8}})"
        r"(?=(?P<quote>\\?[\"'`])(?P<quoted>[^\s\"'`\\](?:[^\"'`\n\\]|\\[^\"'`n\n]){0,300})(?P=quote)"
        r"|(?!<)(?P<bare>[^\s\"'`\\]{4,200}))",
        "DB_PASSWORD=x9Kq2mTz",
    ),
)

# --- values that are not secrets --------------------------------------------------------------------

_PLACEHOLDER = (
    r"your|example|placeholder|redacted|change[-_]?(?:me|this)|insert|replace|dummy|xxxx"
    r"|\.\.\.|\*\*\*|\u2026|\$\{|\{\{"
)
_DEFAULT = (
    r"(?:my|some|the|a|test|new|old|super|very|top|default|user|app|db|api|no|bad|wrong|invalid|fake|mock"
    r"|sample|dev|local)?[-_ ]?(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|value|string|none|null|nil"
    r"|undefined|true|false|test"
    r"|foo|bar|baz|qux|foobar|abc|todo|tbd|empty|hidden|masked|optional|required|auth|credentials?|x{2,}|\*+)s?"
    r"(?:[-_ ]?(?:here|key|token|value|[0-9]{1,3}))?"
)
_VARIABLE = r"\$(?:[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*)(?!\w)|\$[{(]|%[A-Za-z_({]|[<{\[(]"
_EXPRESSION = r"[A-Za-z_][\w.]*[(\[{]|[A-Za-z_]+(?:(?:\.|::|->)[A-Za-z_]+)+$|[-+=~^|;,.:/\\*&!@#]+$"
_PATH = r"(?:~|\.{1,2})?/\.?[a-z][\w.-]*(?:/|$)|[\w./-]+\.(?:pem|key|json|txt|crt|pub|ya?ml|toml|env)$"
_NEXT_PARAMETER = r"[&;,](?=[\w.-]{1,60}[=:])|</"
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_PASSWORDS: Final = frozenset({"PASSWORD", "PASSWD", "SECRET", "password", "passwd", "secret"})
_PUBLIC_NAME = (
    r"(?i)(?:^|[_.-])(?:public|pub|primary|foreign|cache|sort|partition|publishable|hot|group|dict)[_.-]?$"
)
_KEY_OF_LOCK = (
    r"(?:api|access|secret|private|auth|encryption|signing|master|account|service|deploy|license)[_.-]$"
)
_NUMBER = r"[\d.,_-]+$"


def find_secrets(text: str) -> list[Secret]:
    """Find the secrets in a text, in order.

    Overlapping matches are one secret of the first form.
    """
    spans = sorted(_spans(text))
    merged: list[tuple[int, int, int]] = []
    for start, end, rank in spans:
        if merged and start < merged[-1][1]:
            first, last, best = merged[-1]
            merged[-1] = (first, max(last, end), min(best, rank))
        else:
            merged.append((start, end, rank))
    secrets, line, position = [], 1, 0
    for start, end, rank in merged:
        line, position = line + text.count("\n", position, start), start
        secrets.append(Secret(FORMS[rank].name, start, end, line))
    return secrets


def redact_secrets(text: str) -> str:
    """Replace each secret by `[redacted:<form>]`; lines keep their numbers."""
    secrets = find_secrets(text)
    if not secrets:
        return text
    parts, position = [], 0
    for secret in secrets:
        lines = text.count("\n", secret.start, secret.end)
        parts += [text[position : secret.start], f"[redacted:{secret.form}]", "\n" * lines]
        position = secret.end
    return "".join([*parts, text[position:]])


@dataclass(frozen=True, slots=True)
class Redaction:
    """The rules of redaction: the built-in forms of secrets, and the user's patterns."""

    builtin: bool = True
    patterns: tuple[str, ...] = ()

    def redact_known(self, text: str) -> str:
        """Replace secrets of the built-in forms."""
        return redact_secrets(text) if self.builtin else text

    def redact(self, text: str) -> str:
        """Replace secrets; each pattern is applied separately, with its own flags."""
        text = self.redact_known(text)
        for pattern in self.patterns:
            text = re.sub(pattern, REDACTED, text)
        return text

    def remove(self, text: str) -> str:
        """Remove secrets from a query, in which a placeholder would be searched for."""
        redacted = self.redact(text)
        return text if redacted == text else re.sub(r"\[redacted(?::[a-z-]+)?\]", " ", redacted).strip()

    def find(self, text: str) -> list[Secret]:
        """Find what `redact` would replace, in order."""
        secrets = find_secrets(text) if self.builtin else []
        for pattern in self.patterns:
            for match in re.finditer(pattern, text):
                line = text.count("\n", 0, match.start()) + 1
                secrets.append(Secret("match of a pattern of yours", *match.span(), line))
        return sorted(secrets, key=lambda secret: (secret.start, secret.end))

    def forms_in(self, text: str) -> tuple[str, ...]:
        """List the forms of what `redact` would replace, each once."""
        return tuple(dict.fromkeys(secret.form for secret in self.find(text)))

    @property
    def signature(self) -> str:
        """The rules as a hash of 8 characters, "" if there are none."""
        if not self.builtin and not self.patterns:
            return ""
        rules = [f"builtin {VERSION}" if self.builtin else "", *self.patterns]
        return sha256("\0".join(rules).encode("utf-8", "replace")).hexdigest()[:8]


def _spans(text: str) -> Iterator[tuple[int, int, int]]:
    for rank, form in enumerate(FORMS):
        if any(literal in text for literal in form.literals):
            check, end = _CHECKS.get(form.name, _check_token), 0
            for match in re.finditer(form.pattern, text):
                if match.start() >= end and (span := check(match)):
                    end = span[1]
                    yield (*span, rank)


def _check_token(match: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of a token, None for an obvious placeholder."""
    is_placeholder = len(set(match[0][-16:])) <= 4 or re.search(_PLACEHOLDER, match[0])
    return None if is_placeholder else match.span()


def _check_private_key(match: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of a PEM key, None if there is no key between its two lines."""
    body = match[0].split("-----", 3)[2]
    return match.span() if re.search(r"[A-Za-z0-9+/]{16}", body) else None


def _check_aws_secret(match: re.Match[str]) -> tuple[int, int] | None:
    return match.span("secret")


def _check_url(match: re.Match[str]) -> tuple[int, int] | None:
    value = match["secret"]
    return None if re.match(_VARIABLE, value) or _is_placeholder(value) else match.span("secret")


def _check_assignment(match: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of the value in `NAME_TOKEN=value` and its forms in JSON, YAML and code."""
    prefix = _name_before(match.string, match.start())
    if not _promises_secret(prefix, match):
        return None
    value = match["quoted"] or re.split(_NEXT_PARAMETER, match["bare"], maxsplit=1)[0].rstrip(".,;:)]}|")
    if not value or re.match(_VARIABLE, value) or _is_placeholder(value) or re.match(_PATH, value):
        return None
    if not match["quote"] and re.match(_EXPRESSION, value):
        return None
    shape = _is_value_of_constant if match["word"].isupper() else _is_value_of_field
    start = match.start("quoted" if match["quote"] else "bare")
    return (start, start + len(value)) if shape(match, value) else None


def _name_before(text: str, end: int) -> str:
    start = end
    while start > max(0, end - 64) and text[start - 1] in _NAME_CHARACTERS:
        start -= 1
    if start < end and text[start - 1 : start] == "\\" and text[start] in "nrt":
        start += 1  # a line end in JSON
    return text[start:end]


def _promises_secret(prefix: str, match: re.Match[str]) -> bool:
    """Whether a name with this prefix is that of a secret."""
    word = match["word"]
    if re.search(_PUBLIC_NAME, prefix):
        return False
    if word.isupper():
        is_whole = not prefix and word in _PASSWORDS
        return prefix == prefix.upper() and (is_whole or prefix.endswith(("_", "-", ".")))
    # In "https://x-access-token:..." it is a user name.
    is_user = match["sign"] == ":" and not match["space"] and not match["quote"]
    return (
        prefix.endswith(("_", "-", "."))
        and not is_user
        and (word != "key" or bool(re.search(_KEY_OF_LOCK, prefix)))
    )


def _is_value_of_field(match: re.Match[str], value: str) -> bool:
    """Whether the value of a lower-case name is a secret."""
    shortest = (8 if match["word"] in _PASSWORDS else 12) + (0 if match["quote"] else 4)
    return " " not in value and len(value) >= shortest and _is_mixed(value)


def _is_value_of_constant(match: re.Match[str], value: str) -> bool:
    """Whether the value of an upper-case name is a secret."""
    is_password, is_variable = match["word"] in _PASSWORDS, not match["gap"] and match["sign"] == "="
    if " " in value:
        return is_password and is_variable
    if re.match(_NUMBER, value) and not is_password:
        return False
    is_irregular = _is_mixed(value) or _is_irregular_case(value)
    if is_variable:
        return is_password or is_irregular or len(value) >= 20
    return len(value) >= 6 and (is_irregular or (is_password and bool(match["quote"])))


def _is_mixed(value: str) -> bool:
    """Whether a value has both letters and digits."""
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _is_irregular_case(value: str) -> bool:
    """Whether the case of a long value changes more often than in a name."""
    changes = sum(a.islower() != b.islower() for a, b in pairwise(value))
    return len(value) >= 12 and 3 * changes >= len(value)


def _is_placeholder(value: str) -> bool:
    lower = value[:64].lower()
    return bool(re.search(_PLACEHOLDER, lower) or re.fullmatch(_DEFAULT, lower))


_CHECKS: Final = {
    "private-key": _check_private_key,
    "aws-secret-access-key": _check_aws_secret,
    "url-password": _check_url,
    "assignment": _check_assignment,
}
