"""Random secrets of the forms that are recognised, in the contexts where people leave them."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ALPHANUMERIC = string.ascii_letters + string.digits
URL_SAFE = ALPHANUMERIC + "_-"
BASE64 = ALPHANUMERIC + "+/"

CONTEXTS = (
    "Fix the deployment\n\nIt failed with {} after the rotation.\n",
    "revert: {}",
    "- decided to keep `{}` until Monday",
    "```sh\nexport VALUE={}\n./run.sh\n```\n",
    "curl -H 'Authorization: Bearer {}' https://api.internal/v1/items",
    '{{"name": "build", "value": "{}", "retries": 3}}',
    "name: build\nvalue: {}\nretries: 3\n",
    "VALUE={}\nDEBUG=1\n",
    "client = Client('{}')",
    "log line one\\n{}\\nlog line three",
    "https://ci.internal/run?value={}&page=2",
    "<code>{}</code>",
    "remote: error: ({}), try again.",
)
ASSIGNMENTS = (
    "{name}={value}",
    "export {name}={value}",
    '{name}="{value}"',
    "{name}='{value}'",
    '{name} = "{value}"',
    "{name}: {value}",
    '  "{name}": "{value}",',
    "docker run -e {name}={value} image:latest",
    "```env\nDEBUG=1\n{name}={value}\n```",
    "set {name}={value}",
    '$env:{name} = "{value}"',
    "ENV {name}={value}",
)
NAMES = (
    "API_KEY",
    "DB_PASSWORD",
    "GITHUB_TOKEN",
    "CLIENT_SECRET",
    "APP_SECRET",
    "DEPLOY_KEY",
    "SMTP_PASSWORD",
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret within a text."""

    form: str
    secret: str
    text: str


def plant(count: int, seed: int) -> Iterator[Planted]:
    """Make this many secrets, of each form in turn."""
    draw = random.Random(seed)
    makers = list(_MAKERS.items())
    for number in range(count):
        form, make = makers[number % len(makers)]
        yield make(draw, form)


def _random(draw: random.Random, alphabet: str, length: int) -> str:
    return "".join(draw.choices(alphabet, k=length))


def _token(
    prefix: str, alphabet: str, *lengths: int, end: str = ""
) -> Callable[[random.Random, str], Planted]:
    def make(draw: random.Random, form: str) -> Planted:
        secret = prefix + _random(draw, alphabet, draw.choice(lengths)) + end
        return Planted(form, secret, draw.choice(CONTEXTS).format(secret))

    return make


def _private_key(draw: random.Random, form: str) -> Planted:
    kind = draw.choice(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "])
    body = [_random(draw, BASE64, 64) for _ in range(draw.randrange(3, 20))]
    key = "\n".join([f"-----BEGIN {kind}PRIVATE KEY-----", *body, f"-----END {kind}PRIVATE KEY-----"])
    contexts = ("{}\n", "```\n{}\n```", "Remove the key\n\n{}\n", "> " + "{}".replace("\n", "\n> "))
    text = draw.choice([*(context.format(key) for context in contexts), json.dumps({"key": key})])
    return Planted(form, body[1], text)


def _aws_secret(draw: random.Random, form: str) -> Planted:
    secret = _random(draw, BASE64, 40)
    name = draw.choice(
        ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey"]
    )
    return Planted(form, secret, draw.choice(ASSIGNMENTS[:7]).format(name=name, value=secret))


def _slack(draw: random.Random, form: str) -> Planted:
    numbers = "-".join(_random(draw, string.digits, 12) for _ in range(draw.choice([2, 3])))
    secret = f"xox{draw.choice('abprs')}-{numbers}-{_random(draw, ALPHANUMERIC, 24)}"
    return Planted(form, secret, draw.choice(CONTEXTS).format(secret))


def _webhook(draw: random.Random, form: str) -> Planted:
    upper = string.ascii_uppercase + string.digits
    path = f"T{_random(draw, upper, 8)}/B{_random(draw, upper, 8)}/{_random(draw, ALPHANUMERIC, 24)}"
    return Planted(form, path, draw.choice(CONTEXTS).format(f"https://hooks.slack.com/services/{path}"))


def _jwt(draw: random.Random, form: str) -> Planted:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"sub": _random(draw, string.digits, 10), "iat": draw.randrange(1 << 31)}
    secret = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{_random(draw, URL_SAFE, 43)}"
    return Planted(form, secret, draw.choice(CONTEXTS).format(secret))


def _url(draw: random.Random, form: str) -> Planted:
    secret = _random(draw, ALPHANUMERIC + "!$-_.~", draw.randrange(8, 24))
    scheme = draw.choice(["postgres", "mysql", "redis", "amqp", "mongodb+srv", "https", "ftp"])
    user, host = draw.choice(["app", "root", "deploy", ""]), draw.choice(["db", "10.0.0.7:5432"])
    url = f"{scheme}://{user}:{secret}@{host}/x"
    return Planted(form, f":{secret}@", draw.choice(CONTEXTS).format(url))


def _assignment(draw: random.Random, form: str) -> Planted:
    secret = _random(draw, ALPHANUMERIC, draw.choice([12, 16, 20, 24, 32, 40, 64]))
    return Planted(form, secret, draw.choice(ASSIGNMENTS).format(name=draw.choice(NAMES), value=secret))


_MAKERS: dict[str, Callable[[random.Random, str], Planted]] = {
    "private-key": _private_key,
    "aws-access-key-id": _token("AKIA", string.ascii_uppercase + "234567", 16),
    "aws-secret-access-key": _aws_secret,
    "github-token": _token("ghp_", ALPHANUMERIC, 36),
    "github-token gho": _token("gho_", ALPHANUMERIC, 36),
    "github-token ghs": _token("ghs_", ALPHANUMERIC, 36),
    "github-token pat": _token("github_pat_11", ALPHANUMERIC + "_", 80),
    "gitlab-token": _token("glpat-", URL_SAFE, 20),
    "slack-token": _slack,
    "webhook": _webhook,
    "anthropic-key": _token("sk-ant-api03-", URL_SAFE, 93, end="AA"),
    "openai-key": _token("sk-", ALPHANUMERIC, 48),
    "openai-key project": _token("sk-proj-", URL_SAFE, 48, 74, 156),
    "google-api-key": _token("AIza", URL_SAFE, 35),
    "google-oauth": _token("GOCSPX-", URL_SAFE, 28),
    "npm-token": _token("npm_", ALPHANUMERIC, 36),
    "pypi-token": _token("pypi-AgEIcHlwaS5vcmc", URL_SAFE, 120, 160),
    "stripe-key": _token("sk_live_", ALPHANUMERIC, 24, 99),
    "stripe-key restricted": _token("rk_live_", ALPHANUMERIC, 24),
    "stripe-key webhook": _token("whsec_", ALPHANUMERIC, 32),
    "jwt": _jwt,
    "url-password": _url,
    "assignment": _assignment,
    "assignment again": _assignment,
}
