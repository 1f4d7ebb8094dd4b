"""`patina models`: which models there are, what runs them here, and getting them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patina_hooks.errors import ModelError
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_line, clean_text, count, size

if TYPE_CHECKING:
    from patina_hooks.models.catalog.recommend import Recommendation
    from patina_hooks.models.catalog.registry import FilesState, ModelState
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.models import ModelFile, ModelSpec, Pooling

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_runtime = click.option("--runtime", default="auto", metavar="NAME", help="Not the one that auto takes.")


_ELSEWHERE = {
    "compare": (
        "compare:compare_command",
        "Measure models on this repository's history.",
    ),
}
"""Commands with a module of their own, opened when they are called: `module:attribute` and short help."""


class _Group(click.Group):
    """Its own commands, and those of `_ELSEWHERE`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return self.commands.get(cmd_name)
        module, _, attribute = _ELSEWHERE[cmd_name][0].partition(":")
        command = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 (the table says so)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*rows, *((name, text) for name, (_, text) in _ELSEWHERE.items())])


@click.group("models", cls=_Group)
def models_command() -> None:
    """Which models there are; pull, check, add and choose them.

    A repository names one in its recipe, .patina/oxidize.yaml, as `embedding_model`. Only `pull` goes to the
    network; a runtime that is a server of yours is asked where you name it.
    """


# --- list, show, explain ----------------------------------------------------------------------------


@models_command.command("list")
@_as_json
def list_command(as_json: bool) -> None:
    """Every model that is installed, and whether it is ready."""
    from patina_hooks.models.catalog.registry import as_object, model_states

    plugins = _plugins()
    states = model_states(plugins)
    _faults(plugins)
    click.echo(json.dumps([as_object(one) for one in states], indent=2) if as_json else _table(states))


@models_command.command("show")
@click.argument("name")
@_as_json
def show_command(name: str, as_json: bool) -> None:
    """One model: how its vectors are made, and its files."""
    from patina_hooks.models.catalog.registry import as_details

    details = as_details(_state(name))
    click.echo(json.dumps(details, indent=2) if as_json else "\n".join(_page(details)))


@models_command.command("explain")
@click.argument("name")
@_runtime
@_as_json
def explain_command(name: str, runtime: str, as_json: bool) -> None:
    """Which runtime runs a model here, and why no other."""
    from patina_hooks.models.catalog.registry import explain_choice
    from patina_hooks.models.choice import runtime_for

    plugins = _plugins()
    spec = plugins.model(name)
    told = explain_choice(plugins, spec, runtime)
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(_reasons(told)))
    runtime_for(plugins, spec, runtime)  # an error, with what mends it, where it cannot run


# --- pull, remove, verify ---------------------------------------------------------------------------


@models_command.command("pull")
@click.argument("name")
@_runtime
@_as_json
def pull_command(name: str, runtime: str, as_json: bool) -> None:
    """Fetch a model's files into the hub cache: the only command that uses the network.

    Files that are in the cache already are used as they are. HF_ENDPOINT names a mirror, HF_HUB_CACHE the
    cache, HF_HUB_OFFLINE forbids the network, HF_TOKEN is sent to the hub.
    """
    from patina_hooks.models.files.pull import pull
    from patina_hooks.models.files.weights import model_files

    spec, runtime = _files_for(name, runtime)
    # On a terminal the hub's library draws a bar of its own.
    with show_progress("download") if not sys.stderr.isatty() else nullcontext() as show:

        def say_file(text: str) -> None:
            click.echo(clean_line(text), err=True)
            if show:
                show(text, 0, 0)

        done = pull(spec, runtime, say_file)
    model_files(spec, runtime)
    if as_json:
        told = {"model": spec.name, "runtime": runtime, "folder": done.folder, "bytes": done.bytes}
        click.echo(json.dumps({**told, "fetched": done.fetched, "present": done.present}))
    elif done.fetched:
        click.echo(
            f"{spec.name} is here for {runtime}: {count(len(done.fetched), 'file')}, {size(done.bytes)}"
        )
    else:
        click.echo(f"{spec.name} is here for {runtime} already")


@models_command.command("remove")
@click.argument("name")
@_as_json
def remove_command(name: str, as_json: bool) -> None:
    """Delete the files that were pulled for a model and for no other.

    Files that were in the hub cache before the pull stay there.
    """
    from patina_hooks.models.files.pull import hub_files, remove_files

    plugins = _plugins()
    spec = plugins.model(name)
    own = {file for runtime in spec.runtimes for file in hub_files(spec, runtime)}
    if not own:
        raise ModelError(
            f"nothing of {spec.name} was pulled: its files are those of a package, or your own",
            hint="pip uninstall the package, or delete its table in models.toml",
        )
    others = [other for other in plugins.models() if other != spec]
    shared = {file for other in others for runtime in other.runtimes for file in hub_files(other, runtime)}
    freed = remove_files(sorted(own - shared, key=lambda file: (file.repository, file.path)))
    click.echo(json.dumps({"model": spec.name, "bytes": freed}) if as_json else f"freed {size(freed)}")


@models_command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_as_json
def verify_command(names: Sequence[str], as_json: bool) -> None:
    """Read the files of models whole and compare their hashes: of all that are here, or of those named."""
    with show_progress("verification"):
        checked = list(_checked(_plugins(), names))
    if as_json:
        click.echo(json.dumps(checked, indent=2))
    else:
        click.echo("\n".join(clean_line(one["error"] or f"{one['path']}: {one['state']}") for one in checked))
    wrong = [one for one in checked if one["error"]]
    if wrong:
        raise ModelError(
            f"{count(len(wrong), 'file')} of {len(checked)} cannot be used", hint=wrong[0]["hint"]
        )


def _checked(plugins: Plugins, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """One a file and hash that it must have; without names, what never came here is passed over."""
    chosen = [plugins.model(name) for name in names] or plugins.models()
    seen: set[object] = set()
    for spec in chosen:
        for runtime, files in spec.runtimes.items():
            here = {role: _here(file) for role, file in files.items()}
            partly = any(path for path, _ in here.values())
            for role, file in files.items():
                path, expected = here[role]
                one = (path, expected) if path else file
                if one not in seen and (names or path or (partly and _came(file))):
                    told = _check(spec, runtime, file, path, expected)
                    yield {"model": spec.name, "runtime": runtime, "role": role, **told}
                    seen.add(one)


def _came(file: ModelFile) -> bool:
    """Whether an absent file was here once, or is to be: one of a hub is not, as long as nobody pulled it."""
    from patina_hooks.models.files.hub import read_record
    from patina_hooks.specs.models import HubFile

    return not isinstance(file, HubFile) or file.path in read_record(file).files


def _here(file: ModelFile) -> tuple[str, str]:
    """Where it lies and the sha256 that it must have, each "" where there is none."""
    from patina_hooks.models.files.weights import expected_hash, locate

    try:
        return str(locate(file)), expected_hash(file)
    except ModelError:
        return "", ""


def _check(spec: ModelSpec, runtime: str, file: ModelFile, path: str, expected: str) -> dict[str, str]:
    from patina_hooks.models.files.hub import PullNeeded
    from patina_hooks.models.files.weights import pull_command, verify_file

    try:
        verify_file(file, reread=True)
    except ModelError as error:
        hint = pull_command(spec, runtime) if isinstance(error, PullNeeded) else error.hint
        state = "altered" if path else "absent"
        return {"path": path, "state": state, "error": str(error), "hint": hint}
    state = "as it should be" if expected else "here; nobody said what its hash must be"
    return {"path": path, "state": state, "error": "", "hint": ""}


# --- add, recommend ---------------------------------------------------------------------------------


@models_command.command("add")
@click.option(
    "--from-folder", "folder", required=True, metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where config.json, weights and tokenizer lie; they stay there.",
)  # fmt: skip
@click.option("--name", help="What a recipe calls it; by default the folder's name.")
@click.option("--pooling", type=click.Choice(["mean", "cls", "last"]), help="Where the folder does not say.")
@_as_json
def add_command(folder: Path, name: str | None, pooling: Pooling | None, as_json: bool) -> None:
    """Describe a model of your own in models.toml, by what its folder says of it."""
    from patina_hooks.models.catalog.entry import add_model, as_toml, refuse_name
    from patina_hooks.models.files.folder import describe_folder

    name = name or folder.resolve().name.lower()
    refuse_name(_plugins(), name, "--name")
    spec = describe_folder(folder, name, pooling)
    path = add_model(spec)
    if as_json:
        from patina_hooks.models.catalog.registry import as_details

        click.echo(
            json.dumps({**as_details(_state(f"patina-hooks/{spec.name}")), "file": str(path)}, indent=2)
        )
    else:
        click.echo(as_toml(spec), nl=False)
        click.echo(f"written to {path}; a recipe can name it now", err=True)


@models_command.command("recommend")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="What you write in (en).")
@_as_json
def recommend_command(languages: tuple[str, ...], as_json: bool) -> None:
    """A model for this machine and your languages, with reasons."""
    from patina_hooks.models.catalog.recommend import as_json_object, recommend, this_machine

    found = recommend(_plugins(), this_machine(), languages or ("en",))
    click.echo(json.dumps(as_json_object(found), indent=2) if as_json else "\n".join(_recommended(found)))


# --- for eyes ---------------------------------------------------------------------------------------


def _table(states: Iterable[ModelState]) -> str:
    rows = [("NAME", "LENGTH", "TOKENS", "LANGUAGES", "LICENCE", "RUNTIME", "SIZE", "")]
    for one in states:
        spec = one.spec
        rows.append((
            spec.name, str(spec.dimensions), str(spec.max_tokens), ",".join(spec.languages) or "-",
            spec.licence or "-", one.runtime or "-", size(one.bytes) if one.runtime else "-",
            _standing(one),
        ))  # fmt: skip
        for other in one.explicit_only:
            rows.append(("", "", "", "", "", other.runtime, size(other.bytes), _files(spec, other)))
    widths = [max(len(clean_line(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(f"{clean_line(cell):<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


_SAID = {"pull": "not pulled", "absent": "its files are absent"}


def _standing(state: ModelState) -> str:
    what = _SAID.get(state.state, state.state)
    return f"{what}: {state.remedy}" if state.remedy else what


def _files(spec: ModelSpec, files: FilesState) -> str:
    from patina_hooks.models.files.weights import pull_command

    what = _SAID.get(files.state, files.state)
    return f"{what}: {pull_command(spec, files.runtime)}" if files.state == "pull" else what


def _page(told: dict[str, Any]) -> Iterator[str]:
    shown = ("description", "lengths", "max_tokens", "pooling", "layer", "query_prefix", "passage_prefix",
             "task", "languages", "parameters", "licence", "runtime", "state", "remedy")  # fmt: skip
    yield click.style(clean_line(told["name"]), bold=True)
    for key in shown:
        if (value := told[key]) not in (None, "", []):
            text = json.dumps(value, ensure_ascii=False) if key.endswith("prefix") else value
            text = ", ".join(value) if isinstance(value, list) else text
            yield f"  {key.replace('_', ' '):<16}{clean_line(f'{text:,}' if isinstance(text, int) else text)}"
    for file in told["files"]:
        where = clean_line(file["path"] or "not here")
        whose = f"{file['runtime']} {file['role']}"
        yield f"  {clean_line(whose):<{max(16, len(whose) + 1)}}{clean_line(file['source'])}"
        yield f"  {'':<16}{where}  {size(file['bytes'])}"


def _reasons(told: dict[str, Any]) -> Iterator[str]:
    chosen = told["runtime"]
    not_by = "any runtime" if told["wanted"] == "auto" else clean_line(told["wanted"])
    yield f"{clean_line(told['model'])}: {chosen or f'cannot be run by {not_by}'} ({told['platform']})"
    width = max([8, *(len(one["runtime"]) + 1 for one in told["runtimes"])])
    for one in told["runtimes"]:
        mark = "*" if one["runtime"] == chosen else " "
        held = "" if one["bytes"] == 0 else f" ({size(one['bytes'])})"
        yield f"{mark} {clean_line(one['runtime']):<{width}}{clean_line(one['reason'])}{held}"
        if one["remedy"]:
            yield f"{'':<{width + 2}}{clean_line(one['remedy'])}"
    if told["variant"]:
        yield f"your settings have it compute in {clean_line(told['variant'])}: its vectors are kept apart"


def _recommended(found: Recommendation) -> Iterator[str]:
    yield f"{found.model or 'none'}: {found.reason}"
    yield from (f"  {command}" for command in found.commands)
    yield from (f"  not {rejected.model}: {rejected.reason}" for rejected in found.rejected)


# --- finding ----------------------------------------------------------------------------------------


def _plugins() -> Plugins:
    from patina_hooks.plugins.manager import Plugins

    return Plugins.load()


def _state(name: str) -> ModelState:
    from patina_hooks.models.catalog.registry import read_state_of
    from patina_hooks.models.choice import installed_runtimes

    plugins = _plugins()
    return read_state_of(plugins.model(name), installed_runtimes(plugins))


def _files_for(name: str, runtime: str) -> tuple[ModelSpec, str]:
    """The model and whose files are meant; a runtime that was named need not be installed."""
    from patina_hooks.models.choice import AUTO, runtime_for
    from patina_hooks.models.files.weights import files_for_runtime

    plugins = _plugins()
    spec = plugins.model(name)
    if runtime == AUTO:
        runtime = runtime_for(plugins, spec).runtime
    files_for_runtime(spec, runtime)
    return spec, runtime


def _faults(plugins: Plugins) -> None:
    """What kept models from the list, on stderr."""
    for fault in plugins.faults:
        click.echo(f"patina: {clean_line(fault.plugin)}: {clean_text(fault.error)}", err=True)
