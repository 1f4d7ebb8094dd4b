"""Architecture decision records as documents of their own kind, with status, date and successor as fields."""

import re
from collections.abc import Iterator
from dataclasses import replace

from patina_hooks import Document, DocumentFacts, Extraction, ExtractorSpec, SourceSpec, hookimpl
from patina_hooks.authoring import extract_prose

RECORDS = ("docs/adr/[0-9]*.md", "doc/adr/[0-9]*.md", "docs/decisions/[0-9]*.md")
STATED = {  # under a heading (Nygard), in a list or in front matter (MADR)
    "status": re.compile(r"(?:^#+ status\s+|^[-* ]*status[*: ]+)([a-z]+)", re.IGNORECASE | re.MULTILINE),
    "date": re.compile(r"^[-* ]*date[*: ]+(\d{4}-\d\d-\d\d)", re.IGNORECASE | re.MULTILINE),
    "superseded-by": re.compile(r"superseded by\W*(?:adr\W*)?0*(\d+)", re.IGNORECASE),
}


@hookimpl
def patina_register_sources() -> Iterator[SourceSpec]:
    yield SourceSpec("adr", version=1, collection="docs", include=RECORDS, describe="patina_adr:describe")


@hookimpl
def patina_register_extractors() -> Iterator[ExtractorSpec]:
    yield ExtractorSpec("adr", version=1, document_kind="adr", extract="patina_adr:read_record")


def describe(path: str) -> DocumentFacts:
    number, _, words = path.rpartition("/")[2].removesuffix(".md").partition("-")
    return DocumentFacts(
        title=words.replace("-", " "), language="markdown", fields={"adr": number.lstrip("0")}
    )


def read_record(document: Document) -> Extraction:
    found = {name: form.search(document.text) for name, form in STATED.items()}
    fields = {**document.fields, **{name: match[1].lower() for name, match in found.items() if match}}
    record = extract_prose(document)
    passages = (replace(passage, kind="decision", fields=fields) for passage in record.observations)
    return replace(record, observations=tuple(passages), fields=fields)
