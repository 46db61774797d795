"""The whole chain, timed: clips stored by C-STORE, read, and their results in an archive, a real Orthanc: `make bench ARGS="--pacs 20"`."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage, generate_uid

from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.pacs.outgoing.outcome import Delivered
from service.pacs.outgoing.store_scu import store
from service.pacs.site import Node, ResultKind
from tests.bench.servers import running, seashore
from tests.fakes import orthanc

AE_TITLE = "SEASHORE"
GIVE_UP_AFTER_S = 600.0
"""Without a new result in the archive."""


def time_chain(clips: Sequence[Path], count: int) -> int:
    """Send `count` instances at once, wait for their results, print the times. Gives the exit status."""
    if not orthanc.is_installed():
        print(f"Skipped: {orthanc.NOT_HERE}.")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        instances = [_instance(clip, folder / f"{n}.dcm") for n, clip in enumerate(islice(cycle(clips), count))]
        with _archive(folder / "orthanc") as archive:
            port = orthanc.free_port()
            settings = {"SEASHORE_DATA_DIR": str(folder / "data"), "SEASHORE_SITE": str(_site_file(folder, port, archive))}
            with running(seashore(settings)):
                stored_s, whole_s = _send_and_wait(instances, port, archive)
        _tell(count, stored_s, whole_s, *_timings(folder / "data"))
    return 0


def _instance(clip: Path, path: Path) -> Path:
    """The clip as an ultrasound multi-frame object, each frame a JPEG, of a patient and study of its own."""
    opened = open_clip(clip, DEFAULT_LIMITS)
    coded = [bytes(cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]))[1]) for frame in opened.rgb_frames()]
    made = Dataset()
    made.SOPClassUID, made.Modality, made.PatientID = UltrasoundMultiFrameImageStorage, "US", path.stem
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = (generate_uid() for _ in range(3))
    made.NumberOfFrames, made.Rows, made.Columns = len(coded), opened.info.height, opened.info.width
    made.FrameTime, made.FrameIncrementPointer = round(1000 * opened.info.duration_s / len(coded), 4), 0x00181063
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_FULL_422", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.add_new("PixelData", "OB", encapsulate(coded))
    made["PixelData"].is_undefined_length = True
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.save_as(path, enforce_file_format=True)
    return path


@contextmanager
def _archive(folder: Path) -> Iterator[orthanc.Orthanc]:
    folder.mkdir()
    archive = orthanc.Orthanc(folder)
    archive.start()
    try:
        yield archive
    finally:
        archive.kill()


def _site_file(folder: Path, port: int, archive: orthanc.Orthanc) -> Path:
    path = folder / "pacs.toml"
    path.write_text(
        f'[receive]\nae_title = "{AE_TITLE}"\nport = {port}\ncalling_ae_titles = ["*"]\nmin_free_bytes = 0\n'
        f'[[destination]]\nname = "archive"\n'
        f'dicom = {{ ae_title = "{archive.node.ae_title}", address = "127.0.0.1", port = {archive.dicom_port} }}\n'
    )
    return path


def _send_and_wait(instances: Sequence[Path], port: int, archive: orthanc.Orthanc) -> tuple[float, float]:
    """Seconds from the start of sending: until all was stored here, and until all results were in the archive."""
    began_s = time.monotonic()
    outcome = store(instances, Node(ae_title=AE_TITLE, address="127.0.0.1", port=port), ae_title="BENCH", timeout_s=60.0)
    if not isinstance(outcome, Delivered):
        sys.exit(f"Seashore did not take the clips: {outcome.sentence}")
    stored_s = time.monotonic() - began_s
    wanted, held, last_s = len(ResultKind) * len(instances), 0, time.monotonic()
    while held < wanted:
        if time.monotonic() - last_s > GIVE_UP_AFTER_S:
            sys.exit(f"{held} of {wanted} results are in the archive, and for {GIVE_UP_AFTER_S:g} s no other came.")
        time.sleep(0.1)
        before, held = held, len(archive.instances())
        last_s = time.monotonic() if held > before else last_s
    return stored_s, time.monotonic() - began_s


def _timings(data: Path) -> tuple[float, float]:
    """Seconds that all clips took to be read, and of these the model's: forward passes and saliency."""
    kept = [json.loads(path.read_bytes())["analysis"]["timings"] for path in data.glob("jobs/*/analysis.json")]
    return sum(t["total_ms"] for t in kept) / 1000, sum(t["model_ms"] + t["saliency_ms"] for t in kept) / 1000


def _tell(count: int, stored_s: float, whole_s: float, reading_s: float, model_s: float) -> None:
    print(f"{count} clips stored in {stored_s:.1f} s; their results (SR, SC, PDF) were in the archive after {whole_s:.1f} s:")
    print(f"{60 * count / whole_s:.1f} clips a minute, {whole_s / count:.2f} s each; reading took {reading_s / count:.2f} s of it,")
    print(f"the model {model_s / count:.2f} s: {100 * (1 - model_s / whole_s):.0f} % is not model time")
