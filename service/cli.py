"""The command `seashore`. What other packages add (`seashore train`) is found by entry points, never imported here."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from service import __version__
from service.access.door import Door
from service.access.exposure import objections
from service.allocator import give_memory_back
from service.api.schemas import answer_of
from service.cine.clip import Clip
from service.errors import BadKeys, RequestError, SeashoreError
from service.evidence import words
from service.feedback_cli import add_feedback
from service.findings import TOLD_SIGNS, Analysis, ClipSummary
from service.keys_cli import add_keys
from service.logs import set_up_logging
from service.options import parse_options
from service.pacs_cli import add_pacs
from service.pipeline import Options
from service.reader import ClipReader, Reader, open_timed
from service.readers.reader import reader_processes
from service.remote.environment import set_up_ray
from service.settings import Settings
from service.shelf import ModelEntry
from service.sign_shelf import refuse_untold
from service.tracing import set_up_tracing
from service.validate_cli import add_validate

COMMANDS_GROUP = "seashore.commands"
EXIT_SOME_FAILED, EXIT_USAGE = 1, 2

EPILOG_PREDICT = """
Examples:

  seashore predict lung.mp4

  seashore predict lung.mp4 --overlay annotated.mp4 --report report.pdf

  seashore predict ward/*.dcm --saliency none

  seashore predict lung.mp4 --signs all

  seashore predict lung.mp4 --json | jq .lung_sliding.verdict

  seashore predict lung.mp4 --region "120,200 520,200 520,260 120,260" --mm-per-px 0.08
"""
EPILOG = """
Examples:

  seashore serve                      the page and the API on http://127.0.0.1:8000

  seashore predict lung.mp4           does the lung slide in this clip?

  seashore models                     the models that can be asked

  seashore validate ward.csv          how good is a model on your own labelled clips?

  seashore feedback export --out ward what clinicians said of answers, as a training manifest

  seashore doctor                     is everything well? what is not, and what to do

  seashore keys add ward-3            a key: who may use the service from elsewhere

  seashore pacs queue                 what came from the PACS, what waits for whom

Settings are SEASHORE_* in the environment, for example SEASHORE_MODEL_STORE=/data/models. Not for diagnosis.
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """The console script."""
    app = build_app(ClipReader, reader_processes)
    for entry_point in entry_points(group=COMMANDS_GROUP):
        if _is_wanted(entry_point.name, sys.argv[1:]):
            _add_command(app, entry_point)
    app()


def _is_wanted(name: str, arguments: list[str]) -> bool:
    """Only the command that is called is imported (training's takes seconds); all of them for the help that lists them."""
    return arguments[:1] == [name] or arguments in ([], ["--help"])


def _add_command(app: typer.Typer, entry_point: EntryPoint) -> None:
    """`seashore NAME`, a Typer of another package; left out where what it imports is not installed."""
    try:
        command = entry_point.load()
    except ImportError:
        return
    app.add_typer(command, name=entry_point.name)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip: an answer, an error, or an answer that could not be drawn where it was asked for."""

    path: Path
    analysis: Analysis | None
    error: SeashoreError | None


@dataclass(frozen=True, slots=True)
class Drawings:
    """Where the annotated clip and the report go, when they are asked for."""

    overlay: Path | None
    report: Path | None


Model = Annotated[str | None, typer.Option(help="NAME or NAME:VERSION, from `seashore models`.", metavar="NAME[:VERSION]")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]


MakeReader = Callable[[Settings], Reader]
Serving = Callable[[Settings], AbstractContextManager[Reader]]
"""Opens whoever reads many clips at once, for as long as they are served."""


def build_app(make_reader: MakeReader, serving: Serving | None = None) -> typer.Typer:
    """The commands, around whoever reads clips: `serving` for `seashore serve`, one that `make_reader` makes for the others."""
    app = typer.Typer(
        name="seashore",
        help="Does the lung slide? Reads lung-ultrasound clips and shows what the answer rests on.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
        ] = False,
    ) -> None:
        pass

    _add_serve(app, make_reader, serving)
    _add_predict(app, make_reader)
    _add_models(app, make_reader)
    add_validate(app, make_reader, _settings)
    add_pacs(app, make_reader, _settings)
    add_feedback(app, _settings)
    add_keys(app, _settings)
    return app


def _add_serve(app: typer.Typer, make_reader: MakeReader, serving: Serving | None) -> None:
    @app.command(epilog="Example: seashore serve --host 0.0.0.0 --port 8080")
    def serve(
        host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 is reached from this machine only.")] = None,
        port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
        device: Device = None,
        ray: Annotated[
            bool, typer.Option("--ray", help="Read the clips on a Ray cluster; its own on this machine unless told where.")
        ] = False,
        ray_address: Annotated[str | None, typer.Option(help="The cluster of --ray: HOST:PORT, or auto.")] = None,
    ) -> None:
        """Serve the page and the API."""
        settings = _settings(host=host, port=port, device=device, ray_address=ray_address)
        _check_exposure(settings)
        give_memory_back()
        if ray:
            _serve_on_ray(settings)
            return
        with nullcontext(make_reader(settings)) if serving is None else serving(settings) as reader:
            _serve(settings, reader)


def _add_predict(app: typer.Typer, make_reader: MakeReader) -> None:
    @app.command(epilog=EPILOG_PREDICT)
    def predict(
        clips: Annotated[list[Path], typer.Argument(metavar="CLIP", help="MP4, AVI, MOV, MKV, WebM, MPEG, GIF or ultrasound DICOM.")],
        overlay: Annotated[Path | None, typer.Option(metavar="OUT.mp4", help="Write the annotated clip here (one clip only).")] = None,
        report: Annotated[Path | None, typer.Option(metavar="OUT.pdf", help="Write the one-page report here (one clip only).")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the answer as the API gives it; one line a clip for several.")] = False,
        saliency: Annotated[str | None, typer.Option(help="none, vanilla (default) or smoothgrad.")] = None,
        rows: Annotated[str | None, typer.Option(help="pleura (default) or all, down to where the echoes end.")] = None,
        region: Annotated[str | None, typer.Option(metavar="'X,Y X,Y X,Y'", help="Pleural region drawn by hand, in pixels.")] = None,
        mm_per_px: Annotated[str | None, typer.Option(metavar="MM", help="Millimetres a pixel, when the clip does not say.")] = None,
        signs: Annotated[
            str | None, typer.Option(metavar="SIGNS", help=f"Signs looked for besides: all, or some of {','.join(TOLD_SIGNS)}.")
        ] = None,
        model: Model = None,
        device: Device = None,
    ) -> None:
        """Does the lung slide in these clips? Exits 0 when every clip was answered, 1 when one could not be read."""
        wanted = Drawings(overlay, report)
        _refuse_several(clips, wanted)
        with _told():
            options = parse_options(saliency, rows, region, mm_per_px, signs)
            reader = make_reader(_settings(device=device))
            entry = _loaded(reader, model, options)
        _print_outcomes(_read_all(reader, entry, clips, options, wanted), as_json=as_json)


def _refuse_several(clips: list[Path], wanted: Drawings) -> None:
    for option, out_file in (("--overlay", wanted.overlay), ("--report", wanted.report)):
        if out_file is not None and len(clips) > 1:
            raise _usage_error(f"{option} takes one clip at a time.")


@contextmanager
def _told() -> Iterator[None]:
    """What keeps all clips from being read ends the command, with a sentence."""
    try:
        yield
    except RequestError as error:
        raise _usage_error(str(error)) from None
    except SeashoreError as error:
        raise _failure(error) from None


def _loaded(reader: Reader, model: str | None, options: Options) -> ModelEntry:
    """With the models of the signs that are asked for. Raises: RequestError, OperatorError."""
    entry = reader.find(model)
    with err.status(f"Loading {entry} ..."):
        reader.load(entry)
        if options.signs:
            reader.load_signs()
    refuse_untold(options.signs, reader.signs() if options.signs else ())
    return entry


def _print_outcomes(outcomes: list[Outcome], *, as_json: bool) -> None:
    _print_json(outcomes) if as_json else _print_words(outcomes)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        err.print(f"{outcome.path}: {outcome.error}", markup=False)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _add_models(app: typer.Typer, make_reader: MakeReader) -> None:
    @app.command()
    def models() -> None:
        """The models that can be asked, the newest version of each first."""
        entries = make_reader(_settings()).models()
        if not entries:
            err.print("The model store holds no model. SEASHORE_MODEL_STORE says where it is.")
            raise typer.Exit(EXIT_SOME_FAILED)
        table = Table("Model", "Version", "")
        for entry in entries:
            table.add_row(entry.name, entry.version, "default" if entry.is_default else "")
        out.print(table)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"seashore {__version__}")
        raise typer.Exit


def _usage_error(sentence: str) -> typer.Exit:
    err.print(sentence, markup=False)
    return typer.Exit(EXIT_USAGE)


def _failure(error: SeashoreError) -> typer.Exit:
    err.print(f"{error} {error.log_detail}".strip(), markup=False)
    return typer.Exit(EXIT_SOME_FAILED)


def _settings(**given: str | int | None) -> Settings:
    """From the environment; what was given on the command line goes first."""
    try:
        return Settings.model_validate(Settings().model_dump() | {name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        sentences = [_setting_sentence(item["loc"], item["msg"]) for item in error.errors()]
        raise _usage_error("\n".join(sentences)) from None


def _setting_sentence(where: tuple[int | str, ...], message: str) -> str:
    """Of a rule about several settings, which names them itself, there is no one place."""
    sentence = f"{message.removeprefix('Value error, ')}."
    return f"SEASHORE_{str(where[0]).upper()}: {sentence}" if where else sentence


def _serve(settings: Settings, reader: Reader) -> None:
    import uvicorn  # here: `seashore predict` does without a server and starts a second sooner

    from service.api.app import create_app
    from service.api.connection import server_config

    set_up_logging(settings.log_level, settings.log_format)
    set_up_tracing()
    app = create_app(settings, reader)
    # What is cut off at the end of the drain hears nothing at all.
    config = server_config(app, settings, drain_s=math.ceil(settings.drain_s) + 1)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            getattr(app.state, "drain", lambda: None)()  # absent while it starts
            super().handle_exit(sig, frame)

    Server(config).run()


def _serve_on_ray(settings: Settings) -> None:
    set_up_ray()
    try:
        from service import ray_app  # here: nobody else needs Ray installed
    except ImportError:
        raise _usage_error('Ray is not installed here: pip install "seashore[cpu,ray]"') from None
    try:
        with ray_app.readers_on_ray(settings) as reader:
            _serve(ray_app.for_cluster(settings), reader)
    except SeashoreError as error:
        raise _failure(error) from None


def _check_exposure(settings: Settings) -> None:
    """Before anything is loaded: a service that must not listen does not."""
    try:
        found = objections(settings, is_guarded=Door(settings).is_guarded)
    except BadKeys as error:
        found = [str(error)]
    for sentence in found:
        err.print(sentence, markup=False)
    if found:
        raise typer.Exit(EXIT_USAGE)


def _read_all(reader: Reader, entry: ModelEntry, clips: list[Path], options: Options, wanted: Drawings) -> list[Outcome]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=len(clips) == 1) as progress:
        return [_read_one(reader, entry, clip, options, wanted) for clip in progress.track(clips, description="Reading")]


def _read_one(reader: Reader, entry: ModelEntry, path: Path, options: Options, wanted: Drawings) -> Outcome:
    try:
        clip, decode_ms = open_timed(reader, path)
        analysis, _ = reader.read(clip, entry, options, decode_ms=decode_ms)
    except SeashoreError as error:
        return Outcome(path, None, error)
    except OSError as error:
        return Outcome(path, None, RequestError(f"{error.strerror or 'The file cannot be read'}."))
    return Outcome(path, analysis, _draw(reader, clip, analysis, wanted))


def _draw(reader: Reader, clip: Clip, analysis: Analysis, wanted: Drawings) -> RequestError | None:
    """Write what was asked for; the first that cannot be written ends it, in a sentence."""
    what = "annotated clip"
    try:
        if wanted.overlay is not None:
            reader.annotate(clip, analysis, wanted.overlay)
        what = "report"
        if wanted.report is not None:
            reader.report(clip, analysis, wanted.report, analysed_at=datetime.now().astimezone())
    except OSError as error:
        return RequestError(f"The {what} cannot be written: {error.strerror or 'unknown reason'}.")
    return None


def _print_json(outcomes: list[Outcome]) -> None:
    """One clip: the answer itself. Several: a line each, with the path."""
    if len(outcomes) == 1:
        for analysis in (outcome.analysis for outcome in outcomes if outcome.analysis is not None):
            typer.echo(answer_of(analysis).model_dump_json(indent=2))
        return
    for outcome in outcomes:
        typer.echo(json.dumps({"path": str(outcome.path)} | _json_of(outcome)))


def _json_of(outcome: Outcome) -> dict[str, object]:
    if outcome.analysis is not None:
        return {"answer": answer_of(outcome.analysis).model_dump(mode="json")}
    return {"problem": {"code": getattr(outcome.error, "code", "unreadable_file"), "detail": str(outcome.error)}}


def _print_words(outcomes: list[Outcome]) -> None:
    analyses = [outcome.analysis for outcome in outcomes if outcome.analysis is not None]
    if len(outcomes) > 1:
        out.print(_table(outcomes))
        for line in words.measured_lines(found for analysis in analyses for found in analysis.signs):
            out.print(line, markup=False)
    elif analyses:
        for line in summary(analyses[0]):
            out.print(line, markup=False)
    if analyses:
        out.print(f"\n{words.INTENDED_USE}", style="dim", markup=False)


def summary(analysis: Analysis) -> list[str]:
    """One answer in words, the verdict first."""
    sliding, quality = analysis.lung_sliding, analysis.quality
    lines = [words.headline(analysis), words.probability_line(sliding), *words.doubts(analysis), *words.reason_lines(quality)]
    if sliding.probability is not None:
        lines += [words.wall_control_line(sliding)]
    if analysis.pleura is not None:
        lines += [words.measured_slide_line(analysis.pleura)]
    lines += [f"Note: {warning}" for warning in analysis.warnings]
    lines += [words.quality_line(quality), f"Clip: {_clip_words(analysis.clip)}", _model_words(analysis), *_sign_lines(analysis)]
    return [line for line in lines if line]


def _sign_lines(analysis: Analysis) -> list[str]:
    if not analysis.signs:
        return []
    return [f"{words.SIGNS_HEADING}:", *(f"  {words.sign_line(found)}" for found in analysis.signs), *words.measured_lines(analysis.signs)]


def _clip_words(clip: ClipSummary) -> str:
    scale = "scale unknown" if clip.mm_per_px is None else f"{clip.mm_per_px:.3g} mm/px"
    probe = "probe unknown" if clip.probe == "unknown" else f"{clip.probe} probe"
    return f"{probe}, {clip.num_frames} frames at {clip.fps:.1f} fps ({clip.duration_s:.1f} s), {clip.width}x{clip.height}, {scale}"


def _model_words(analysis: Analysis) -> str:
    model = analysis.model
    return f"Model: {model.name}:{model.version} on {model.device}, {analysis.timings.total_ms / 1000:.2f} s"


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(Column("Clip", overflow="fold"), "Lung sliding", "Probability (95 %)", "Because")
    has_signs = any(outcome.analysis.signs for outcome in outcomes if outcome.analysis)
    if has_signs:
        table.add_column("Signs (research findings)")
    for outcome in outcomes:
        signs = words.signs_in_a_cell(outcome.analysis.signs) if outcome.analysis else ""
        table.add_row(str(outcome.path), *_cells(outcome), *([signs] if has_signs else []))
    return table


def _cells(outcome: Outcome) -> tuple[str, str, str]:
    if outcome.analysis is None:
        return "not read", "", getattr(outcome.error, "code", "unreadable_file")
    sliding, quality = outcome.analysis.lung_sliding, outcome.analysis.quality
    number = "" if sliding.probability is None else f"{sliding.probability:.2f}"
    interval = "" if sliding.interval is None else f" ({sliding.interval[0]:.2f}-{sliding.interval[1]:.2f})"
    verdict = "LUNG POINT?" if outcome.analysis.lung_point.suspected else words.VERDICT_WORDS[sliding.verdict]
    because = words.REASON_WORDS[quality.reasons[0].code] if quality.reasons else ""
    verdict += ", look twice" if words.doubts(outcome.analysis) else ""
    return verdict, number + interval, because


if __name__ == "__main__":
    main()
