"""`seashore train grid`: the published study, whole, on labelled clips or on simulated ones."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from service.manifest import read_manifest
from training.experiment import with_changes
from training.terminal import Told, err, said

STUDIES = files("training.study")
WORK = Path("runs/grid")


class ManifestMissing(ValueError):
    """A folder of clips was named, and no table that says what they are."""


def grid(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="MANIFEST.csv", help="Labelled clips: file,patient,label,...; simulated clips unless given.")
    ] = None,
    clips: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the manifest's clips lie; the manifest's own folder unless given.")
    ] = None,
    healthy_is_present: Annotated[
        bool, typer.Option("--healthy-is-present", help="Count clips labelled healthy as present. A weak label: nobody looked.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A reduced form: small networks, three rows, minutes on 2 cores.")] = False,
    study: Annotated[Path | None, typer.Option(metavar="STUDY.toml", help="What is run; training/study/study.toml unless given.")] = None,
    row: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This row only, such as resnet3d-18_2_30x30; more than once.")
    ] = None,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything is left; the same folder goes on.")] = WORK,
    device: Annotated[str | None, typer.Option(help="cpu or auto; as the study says unless given.")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="How many GPUs of this machine share each batch (DDP).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with; as the study says unless given.")] = None,
) -> None:
    """Run the published study: 15 rows and the M-mode baseline, and a report with the published tables beside ours.

    What was stopped goes on where it was; what is finished is not run again.
    """
    from training.study.clips import labelled_clips, phantom_clips
    from training.study.grid import read_study, with_rows
    from training.study.whole import run_study

    with said():
        asked = with_rows(read_study(study or Path(str(STUDIES / ("study_quick.toml" if quick else "study.toml")))), tuple(row or ()))
        plan = replace(asked, fit=with_changes(asked.fit, "fit", device=device, num_devices=devices, num_threads=threads))
        told = Told(err.is_terminal)
        if manifest is None and clips is not None:
            raise ManifestMissing("--clips says where a manifest's clips lie; the manifest itself must be named too.")
        if manifest is None:
            chosen = tuple(told.count("Simulated clips", phantom_clips(plan, work / "phantoms"), plan.phantoms))
        else:
            chosen = labelled_clips(read_manifest(manifest, clips), healthy_is_present=healthy_is_present)
        page = run_study(plan, chosen, work, told, simulated=manifest is None)
        err.print(f"Written: {page}", markup=False)
