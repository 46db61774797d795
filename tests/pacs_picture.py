"""`python -m tests.pacs_picture`: docs/pictures/secondary_capture.jpg, three frames of a Secondary Capture as an archive gets it."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from pydicom import dcmread

from service.evidence.rendition import render
from service.pacs.objects.sc import write_annotated_clip
from service.pacs.objects.source import read_source
from service.pipeline import Options
from tests.fakes.hospital import clip_file
from tests.fakes.phantoms import preset_phantom
from tests.fakes.service import shipped_reader

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "secondary_capture.jpg"


def main() -> None:
    reader = shipped_reader()
    with TemporaryDirectory() as folder:
        source = clip_file(Path(folder), 0, preset_phantom("lung_point", 4.0).frames)
        clip = reader.open(source)
        analysis, _ = reader.read(clip, reader.find(None), Options())
        write_annotated_clip(
            Path(folder) / "sc.dcm",
            read_source(source),
            lambda out, marks: render(clip, out, marks=marks),
            analysis,
            datetime.now(UTC),
            show_outside_region=False,
        )
        frames = dcmread(Path(folder) / "sc.dcm").pixel_array
    shown = [cv2.resize(frames[at], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for at in (0, len(frames) // 2, len(frames) - 1)]
    cv2.imwrite(str(PICTURE), cv2.cvtColor(np.hstack(shown), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
