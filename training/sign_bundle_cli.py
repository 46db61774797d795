"""`seashore train sign-bundle`: from what `seashore train signs` left to a bundle that the service offers."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from service.manifest import read_manifest
from training.terminal import err, said

EPILOG = (
    "Example: seashore train sign-bundle blines-small --judged runs/folds --fitted runs/whole --manifest clips.csv --clips clips "
    "--version 1.0.0"
)


def sign_bundle(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="As it was given to `seashore train signs`.")],
    judged: Annotated[Path, typer.Option(metavar="FOLDER", help="The --work of the run in folds, which says what the model is worth.")],
    fitted: Annotated[Path, typer.Option(metavar="FOLDER", help="The --work of the run with --folds 1, whose network is served.")],
    manifest: Annotated[Path, typer.Option(metavar="CLIPS.csv", help="The manifest of both runs.")],
    clips: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the manifest's clips lie.")],
    version: Annotated[str, typer.Option(metavar="X.Y.Z", help="Of the bundle; one that is there is never overwritten.")],
    store: Annotated[Path, typer.Option(metavar="FOLDER", help="The model store.")] = Path("model_store"),
    probe: Annotated[list[str] | None, typer.Option(help="A probe whose clips it answers; again for another.")] = None,
    least_fps: Annotated[float, typer.Option(min=1, help="Different frames a second that a clip must have.")] = 8.0,
    clips_words: Annotated[str, typer.Option(metavar="WORDS", help="What the clips of the manifest are.")] = "public clips",
) -> None:
    """Write a bundle of signs: graph, limits, golden clip and card. Signs that may be told no better than by a coin are left out."""
    from service.sign_bundle import Domain
    from training.signs.answers import SignAnswers
    from training.signs.bundle import Made, write_bundle_of
    from training.signs.fit import load_sign
    from training.signs.run import ANSWERS
    from training.trainer import BEST

    with said():
        network = load_sign(fitted / preset / "fold-0" / BEST)
        answers, served = (SignAnswers.read(work / preset / ANSWERS) for work in (judged, fitted))
        learnt_from = [clip for clip in read_manifest(manifest, clips) if clip.split != "test"]
        probes = probe or ["convex"]
        fit = network.preset.fit  # on one thread or two, sums come out otherwise in their last digits, and so do the weights
        run = f"seashore train signs {preset} --manifest {manifest} --clips CLIPS --device {fit.device} --threads {fit.num_threads}"
        bundled = [f"seashore train sign-bundle {preset} --judged {judged} --fitted {fitted} --manifest {manifest} --clips CLIPS"]
        bundled += [
            f"--version {version} --least-fps {least_fps:g} --clips-words {shlex.quote(clips_words)}",
            *(f"--probe {one}" for one in probes),
        ]
        commands = [f"{run} --work {judged}", f"{run} --folds 1 --work {fitted}", " ".join(bundled)]
        made = Made(preset, version, clips_words, Domain(tuple(probes), least_fps), commands, learnt_from)
        bundle = write_bundle_of(store, network, answers, served, made)
        err.print(f"Written: {bundle.directory}, which tells {', '.join(bundle.signs)}", markup=False)
