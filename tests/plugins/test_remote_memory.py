"""A repository whose recipe says `runtime: remote`, from commit to answer; a server that goes, or turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import numpy as np
import pytest
from patina_remote.probes import file_of, load_probes
from patina_remote.runtime import ServedModel, variant
from patina_remote.server import load_server
from support.embedding_server import Asked, EmbeddingServer, Reply, serving, use
from support.memory import Memory
from support.shell import Shell

from patina_hooks import ModelSpec, hookimpl
from patina_hooks.api import Patina
from patina_hooks.config.recipe import Reading
from patina_hooks.config.settings import user_file
from patina_hooks.errors import IndexDamaged, ModelError
from patina_hooks.models.embedding import PieceSize
from patina_hooks.models.encoding import compute_fingerprint, open_encoder, resolve_model
from patina_hooks.models.probes import PROBE_TEXTS, ProbeVectors, least_cosine
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import active_space
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.testing.contract import run_contract
from patina_hooks.upkeep.doctor import examine
from patina_hooks.upkeep.sync import SyncReport, synchronise

RECIPE = "version: 2\nembedding_model: acme-64\nruntime: remote\n"
SAID = ("sqlite keeps the log", "marmots sleep in winter", "the parser reads a tree")
KEY = "sk-not-to-be-seen"
SPEC = ModelSpec("acme-64", dimensions=64, runtimes={})


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as server:
        use(server)
        yield server


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", RECIPE)
    for text in SAID:
        memory.commit(text)
    return memory


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins.load(disabled=())


def sync(memory: Memory, plugins: Plugins, *, full: bool = False) -> SyncReport:
    return synchronise(memory.repository, plugins=plugins, full=full)


def last_text(server: EmbeddingServer) -> str:
    """That was not patina's own."""
    return [text for text in server.texts() if text not in PROBE_TEXTS][-1]


def best(memory: Memory, plugins: Plugins, question: str) -> tuple[list[str], list[str]]:
    """The texts of the hits, and what was at fault."""
    said: list[str] = []
    with closing(Patina(memory.repository, plugins)) as patina:
        hits = patina.search(question, on_fault=said.append)
    return [hit.text for hit in hits], said


def stored(memory: Memory) -> dict[bytes, bytes]:
    """The vectors of the space that answers, by text; each text that lives has one."""
    with closing(Log(memory.state, create=False)) as log:
        keys = [row[0] for row in log.connection.execute("SELECT key FROM text WHERE live > 0")]
        space = active_space(log)
    assert space is not None
    assert space.open(Plugins.load(disabled=()), memory.state).keys() == frozenset(keys)
    with closing(EmbeddingCache(memory.state, space.fingerprint)) as cache:
        vectors = cache.get(keys, space.dimensions)
    return {key: vector.tobytes() for key, vector in zip(keys, vectors, strict=True)}


# --- from commit to answer --------------------------------------------------------------------------


def test_texts_are_embedded_by_the_server_and_questions_too(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    report = sync(memory, plugins)
    assert (report.faults, report.encoded) == ((), 3)
    assert {*SAID, *PROBE_TEXTS} == set(server.texts())
    texts, faults = best(memory, plugins, "do marmots sleep")
    assert (texts[0], faults) == ("marmots sleep in winter", [])
    assert last_text(server) == "query: do marmots sleep"


def test_secrets_are_not_sent_when_texts_and_questions_hold_them(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    memory.commit(f"rotate {token}\n\n- now postgres://u:pw9Kq2@db\n")
    assert sync(memory, plugins).faults == ()
    best(memory, plugins, f"do marmots rotate {token}")
    assert last_text(server) == "query: do marmots rotate"
    sent = "\n".join(server.texts())
    assert "rotate [redacted:github-token]" in sent
    assert token not in sent
    assert "pw9Kq2" not in sent


def test_what_is_embedded_is_not_sent_again(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    asked = len(server.asked)
    sync(memory, plugins)
    assert sync(memory, plugins, full=True).encoded == 0
    assert len(server.asked) == asked
    memory.commit("a fourth thing")
    sync(memory, plugins)
    sent = {text for one in server.asked[asked:] for text in one.texts}
    assert sent == {*PROBE_TEXTS, "a fourth thing"}


def test_without_the_recipes_word_nothing_is_sent(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    for recipe in (RECIPE.replace("remote", "auto"), RECIPE.replace("remote", "onnx")):
        memory.write(".patina/oxidize.yaml", recipe)
        assert sync(memory, plugins).faults == ()
    assert server.asked == []


def test_a_repository_cannot_name_a_server(memory: Memory, server: EmbeddingServer, plugins: Plugins) -> None:
    user_file().unlink()
    named = f'[runtime.remote]\nurl = "{server.url}"\nmodel = "acme"\n'
    memory.write(".patina/config.toml", named)
    assert any("no server is named" in fault.error for fault in sync(memory, plugins).faults)
    assert server.asked == []


def test_the_contract_holds_for_a_server_that_rounds(server: EmbeddingServer, plugins: Plugins) -> None:
    server.noise = 1e-3
    assert [one for one in run_contract(plugins, "acme-64", "remote") if not one.passed] == []
    server.noise = 0.5
    failed = {one.name for one in run_contract(plugins, "acme-64", "remote") if not one.passed}
    assert failed == {"opens"}


def test_the_doctor_asks_the_server_and_shows_no_key(
    memory: Memory, server: EmbeddingServer, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    use(server, key_variable="ACME_KEY")
    sync(memory, plugins)
    found = {one.check: one for one in examine(memory.repository, plugins)}
    assert (found["model"].level, found["vectors"].level) == ("ok", "ok")
    assert server.asked[-1].headers["authorization"] == f"Bearer {KEY}"
    memory.commit("a fourth thing")
    server.replies += [Reply(401, f"Incorrect key: {KEY}".encode())] * 9
    report = sync(memory, plugins)
    (fault,) = report.faults
    assert "answered 401: it refuses the key" in fault.error
    state = b"".join(path.read_bytes() for path in memory.state.rglob("*") if path.is_file())
    assert KEY.encode() not in state
    assert KEY not in str(examine(memory.repository, plugins))


def test_vectors_read_back_are_equal_to_the_bit_whatever_the_server_rounds(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    server.noise = 1e-3
    sync(memory, plugins)
    before = stored(memory)
    sync(memory, plugins, full=True)
    assert stored(memory) == before


# --- a server that goes -----------------------------------------------------------------------------


def test_without_the_server_words_answer_and_what_is_new_waits(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    with serving() as gone:
        pass
    use(gone)
    memory.commit("the roof is made of slate")
    (fault,) = sync(memory, plugins).faults
    assert "nothing listens there" in fault.error
    texts, faults = best(memory, plugins, "slate roof")
    assert texts[0] == "the roof is made of slate"
    assert len(faults) == 1
    assert faults[0].startswith("answering by words only: the embeddings server http://127.0.0.1:")
    use(server)
    assert sync(memory, plugins).encoded == 1
    assert best(memory, plugins, "slate roof")[1] == []


def test_a_server_that_was_never_there_is_a_fault_and_no_more(memory: Memory, plugins: Plugins) -> None:
    with serving() as gone:
        use(gone)
    (fault,) = sync(memory, plugins).faults
    assert "nothing listens there" in fault.error
    texts, faults = best(memory, plugins, "marmots")
    assert (texts, len(faults)) == (["marmots sleep in winter"], 1)


def test_a_sync_that_is_cut_off_keeps_what_it_has_and_goes_on(
    memory: Memory, server: EmbeddingServer, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_hooks.search.index.vector_update.PieceSize", partial(PieceSize, size=256))
    sync(memory, plugins)
    memory.archive("20251103-160000", decisions=tuple(f"decision number {number}" for number in range(300)))
    use(server, batch=129)
    # Probes; 256 texts in two requests, each with a probe; probes; of the rest, nothing.
    server.replies += [None] * 4 + [Reply(401)]
    (fault,) = sync(memory, plugins).faults
    assert "answered 401" in fault.error
    assert [len(one.texts) for one in server.asked[-5:-1]] == [5, 129, 129, 5]
    assert sync(memory, plugins).encoded == len(stored(memory)) - len(SAID) - 256


def test_a_server_that_was_busy_is_asked_again(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    use(server, retries=1)
    server.replies.append(Reply(429, headers={"Retry-After": "0"}))
    assert sync(memory, plugins).faults == ()
    assert len(stored(memory)) == 3


def test_a_server_that_does_not_answer_leaves_it_to_the_words(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    use(server, timeout=1)
    server.replies.append(Reply(stalls="silent"))
    texts, faults = best(memory, plugins, "marmots")
    assert texts[0] == "marmots sleep in winter"
    assert "did not answer within 1 seconds" in faults[0]


def test_a_command_opens_the_server_beside_everything_else(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    shell = Shell(memory.root)
    answered = shell.run("scry", "do marmots sleep")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert last_text(server) == "query: do marmots sleep"
    server.runs = 1
    by_words = shell.run("scry", "do marmots sleep")
    assert by_words.returncode == 0
    assert "marmots sleep in winter" in by_words.stdout
    assert "answering by words only: the server" in by_words.stderr


# --- a server that turns ----------------------------------------------------------------------------


def test_another_model_behind_the_address_is_refused_until_it_is_accepted(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    before, shell = stored(memory), Shell(memory.root)
    memory.commit("the roof is made of slate")
    server.runs = 1
    (fault,) = sync(memory, plugins).faults
    assert "it runs another model by that name" in fault.error
    assert server.texts().count("the roof is made of slate") == 0
    texts, faults = best(memory, plugins, "slate roof")
    assert (texts[0], len(faults)) == ("the roof is made of slate", 1)
    refused = shell.run("remote")
    assert refused.returncode == 1
    assert "patina remote --accept" in refused.stderr

    told = json.loads(shell.out("remote", "--accept", "--json"))
    assert (told["state"], told["dimensions"]) == ("accepted", 64)
    assert told["likeness"] < 0.9
    report = sync(memory, plugins)
    assert (report.faults, report.encoded) == ((), 4)
    after = stored(memory)
    assert all(after[key] != vector for key, vector in before.items())
    assert best(memory, plugins, "slate roof")[1] == []
    assert json.loads(shell.out("remote", "--json"))["state"] == "same"


@pytest.mark.parametrize("turn", ["for good", "for one request", "into a close relative"])
def test_a_server_that_turns_in_the_midst_of_a_sync_leaves_no_vector_of_another_model(
    memory: Memory, server: EmbeddingServer, plugins: Plugins, turn: str
) -> None:
    memory.archive("20251103-160000", decisions=tuple(f"decision number {number}" for number in range(60)))
    use(server, batch=16)

    def meanwhile(_: Asked) -> None:
        asked = len(server.asked)
        server.runs = int(asked > 4 if turn == "for good" else asked == 5 and turn == "for one request")
        server.noise = 0.1 if asked > 4 and turn == "into a close relative" else 0.0

    server.meanwhile = meanwhile
    (fault,) = sync(memory, plugins).faults
    assert "it runs another model by that name" in fault.error
    server.meanwhile, server.runs, server.noise = id, 0, 0.0
    assert sync(memory, plugins).faults == ()
    kept = stored(memory)
    rmtree(memory.state)
    assert sync(memory, plugins).encoded == len(kept) > 60
    assert stored(memory) == kept


def test_what_company_does_to_a_quantised_model_is_no_other_model(
    server: EmbeddingServer, plugins: Plugins
) -> None:
    encoder = open_encoder(plugins, "acme-64", "remote")

    def meanwhile(asked: Asked) -> None:
        server.noise = 0.0 if asked.texts == PROBE_TEXTS else 0.5

    server.meanwhile = meanwhile
    assert encoder.encode(["marmots"], role="query").vectors.any()


def test_a_question_is_not_answered_with_another_models_vector(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    with closing(Patina(memory.repository, plugins)) as patina:
        said: list[str] = []
        patina.search("marmots", on_fault=said.append)
        server.runs = 1
        patina.search("slate", on_fault=said.append)
    (fault,) = said
    assert "it runs another model by that name" in fault


def test_two_that_meet_a_server_at_once_hold_it_to_the_same(server: EmbeddingServer) -> None:
    server.noise = 1e-3
    other: list[str] = []

    def meanwhile(_: Asked) -> None:
        server.meanwhile = id
        other.append(variant(SPEC))

    server.meanwhile = meanwhile
    mine = variant(SPEC)
    assert other == [mine] == [variant(SPEC)]
    assert len(server.asked) == 2


def test_probe_texts_are_whole_where_texts_are_cut(server: EmbeddingServer, plugins: Plugins) -> None:
    open_encoder(plugins, "acme-64", "remote")
    use(server, max_characters=10)
    encoder = open_encoder(plugins, "acme-64", "remote")
    encoder.encode(["marmots sleep in winter"], role="passage")
    assert set(server.texts()) == {*PROBE_TEXTS, "marmots sl"}


def test_an_accepted_model_answers_no_question_about_the_old_ones_vectors(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    server.runs = 1
    Shell(memory.root).out("remote", "--accept")
    with (
        closing(Patina(memory.repository, plugins)) as patina,
        pytest.raises(IndexDamaged, match="differs from the one that is indexed"),
    ):
        patina.search("marmots", mode="vector")


def test_forgotten_probes_do_not_mix_two_models(
    memory: Memory, server: EmbeddingServer, plugins: Plugins
) -> None:
    sync(memory, plugins)
    for path in file_of("acme").parent.iterdir():
        path.unlink()
    server.runs = 1
    assert sync(memory, plugins).encoded == 3
    assert best(memory, plugins, "do marmots sleep")[1] == []


def test_one_probe_text_is_enough() -> None:
    kept = np.eye(3, 4, dtype=np.float32) + 1
    found = kept.copy()
    assert least_cosine(found, kept * 2) == pytest.approx(1)
    found[1] = [1, 1, 1, 2]
    assert least_cosine(found, kept) < 0.9
    assert least_cosine(found, kept[:, :3]) == -1


@pytest.mark.parametrize("size", [3e38, 1e-42])
def test_probes_of_any_size_are_told_apart(size: float, server: EmbeddingServer) -> None:
    """Their products are beyond what float32 holds."""
    drawn = np.random.default_rng(1).uniform(0.5, 1, (2, len(PROBE_TEXTS), 64))
    signs = np.random.default_rng(2).choice([-1, 1], drawn.shape)
    these, those = (drawn * signs * size).astype(np.float32)
    served = ServedModel(load_server(), ProbeVectors.of(these))
    served.check_probes(these)
    with pytest.raises(ModelError, match="it runs another model by that name"):
        served.check_probes(those)


@pytest.mark.parametrize("asked", [[], ["a text"]], ids=["all", "the one beside a text"])
def test_what_is_kept_and_is_no_number_is_like_nothing(server: EmbeddingServer, asked: list[str]) -> None:
    spoilt = np.full((len(PROBE_TEXTS), server.dimensions), np.nan, dtype=np.float32)
    with pytest.raises(ModelError, match="it runs another model by that name"):
        ServedModel(load_server(), ProbeVectors.of(spoilt)).embed_texts(asked)
    assert len(server.asked) == 1


def test_a_server_may_move(memory: Memory, server: EmbeddingServer, plugins: Plugins) -> None:
    sync(memory, plugins)
    with serving() as moved:
        use(moved)
        assert sync(memory, plugins).encoded == 0
        assert best(memory, plugins, "do marmots sleep")[1] == []
        assert last_text(moved) == "query: do marmots sleep"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"model": "acme", "texts": "x", "vectors": "AAAA"}']
)
def test_a_damaged_record_is_none(server: EmbeddingServer, plugins: Plugins, content: bytes) -> None:
    before = open_encoder(plugins, "acme-64", "remote").fingerprint
    file_of("acme").write_bytes(content)
    assert load_probes("acme") is None
    assert open_encoder(plugins, "acme-64", "remote").fingerprint == before  # the same model, the same bits


# --- what a recipe may say --------------------------------------------------------------------------


def test_a_model_of_another_length_is_refused_and_not_remembered(
    server: EmbeddingServer, plugins: Plugins
) -> None:
    server.dimensions = 32
    with pytest.raises(ModelError, match="gives vectors of 32 values, and the model acme-64 has 64"):
        open_encoder(plugins, "acme-64", "remote")
    assert load_probes("acme") is None


@pytest.mark.parametrize("reading", [Reading(pooling="cls"), Reading(extraction_layer=-1)])
def test_pooling_and_layers_are_the_servers(
    server: EmbeddingServer, plugins: Plugins, reading: Reading
) -> None:
    with pytest.raises(ModelError, match="expected none: the runtime remote pools itself"):
        open_encoder(plugins, "acme-64", "remote", reading=reading)


def test_prefix_task_length_and_norm_are_the_cores(server: EmbeddingServer) -> None:
    model = ModelSpec(
        "served-64", dimensions=64, runtimes={}, query_prefix="{task}: ", task="x", matryoshka=(32,)
    )
    plugins = Plugins.load(disabled=())
    plugins.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [model])), "served")
    reading = Reading(instruction="find code", truncate=32)
    encoder = open_encoder(plugins, "served-64", "remote", reading=reading)
    (vector,) = encoder.encode(["marmots"], role="query").vectors
    assert last_text(server) == "find code: marmots"
    (whole,) = server.vectors(["find code: marmots"])
    assert np.allclose(vector, whole[:32] / np.linalg.norm(whole[:32]), atol=1e-6)
    assert not encoder.encode([""], role="passage").vectors.any()


def test_the_fingerprint_tells_servers_models_and_cuts_apart(
    server: EmbeddingServer, plugins: Plugins
) -> None:
    def fingerprint(runtime: str = "remote") -> str:
        return compute_fingerprint(*resolve_model(plugins, "acme-64", runtime))

    seen = [fingerprint("onnx"), fingerprint()]
    use(server, model="other")
    seen.append(fingerprint())
    use(server, max_characters=100)
    seen.append(fingerprint())
    assert len(set(seen)) == 4
    use(server, batch=7, timeout=9)
    assert fingerprint() == seen[1] == fingerprint("patina-remote/remote")


def test_explain_says_why_auto_never_takes_it(server: EmbeddingServer, tmp_path: Path) -> None:
    told = json.loads(Shell(tmp_path).out("models", "explain", "acme-64", "--json"))
    (remote,) = (one for one in told["runtimes"] if one["runtime"] == "remote")
    assert (told["runtime"], remote["usable"]) == ("onnx", True)
    assert remote["reason"].endswith("runs any, where a recipe names it: runtime: remote")
    assert server.asked == []
    asked = json.loads(Shell(tmp_path).out("models", "explain", "acme-64", "--runtime", "remote", "--json"))
    assert asked["runtime"] == "remote"


def test_what_every_sync_asks_imports_nothing_heavy(server: EmbeddingServer, plugins: Plugins) -> None:
    open_encoder(plugins, "acme-64", "remote")
    code = (
        "import sys; from patina_hooks import ModelSpec; from patina_remote.runtime import variant;"
        " print(variant(ModelSpec('acme-64', dimensions=64, runtimes={})).split()[0]);"
        " print(*{'numpy', 'http.client', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "acme\n\n"
