"""`python -m training.study.fit_row JOB.json`: fits one row in a process of its own, which DDP starts again for each device.

Lightning begins the other devices' processes by running the same command again. So that nothing but the fit is done twice,
the grid hands a fit on several devices to this command.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.batches import Indices
from training.examples import read_examples
from training.experiment import FitSettings
from training.fit import FitError, fit

JOB, PARTS = "job.json", "parts.npz"


def write_job(folder: Path, examples: Sequence[Path], settings: FitSettings, parts: Mapping[str, Indices], *, progress: bool) -> Path:
    """What is to be fitted, and where: into `folder`/fit. The file that `main` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / PARTS, **dict(parts))  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
    job = {"examples": [str(path.resolve()) for path in examples], "settings": settings.to_json(), "progress": progress}
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
    return folder / JOB


def run_job(job: Path) -> None:
    """Fit in a process of its own. Raises: FitError."""
    done = subprocess.run([sys.executable, "-m", "training.study.fit_row", str(job)])
    if done.returncode:
        raise FitError("The fit on several devices ended before it was finished; what went wrong stands above. The same call goes on.")


def main(job_file: Path) -> None:
    job = json.loads(job_file.read_text(encoding="utf-8"))
    with np.load(job_file.with_name(PARTS)) as saved:
        parts = {name: saved[name] for name in saved.files}
    examples = read_examples(*map(Path, job["examples"]))
    fit(examples, FitSettings.from_json(job["settings"]), job_file.with_name("fit"), parts=parts, progress=job["progress"])


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except FitError as error:
        sys.exit(str(error))
