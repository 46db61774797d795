"""`python -m tests.viewer_pictures`: docs/pictures/viewer*.jpg, the page with the clips that it offers, as a browser shows it."""

import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from tests.fakes.browser import Page, chromium
from tests.fakes.service import serving, shipped_reader, wait_until

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CLIPS = ("present", "absent", "lung_point", "not_assessable")
DESK, TELEPHONE = (1280, 1180), (390, 844)


def main() -> None:
    with (
        TemporaryDirectory() as folder,
        serving(shipped_reader(), data_dir=Path(folder) / "data") as client,
        chromium(Path(folder)) as page,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, 60)
        see(page, *DESK, scheme="dark")
        page.open(f"{client.base_url}/")
        for name in CLIPS:
            page.value(f"document.querySelector('[data-demo={name}]').click()")
        page.wait_for("document.querySelectorAll('#entries .tone-lung_point, #entries .tone-present').length === 2")
        page.wait_for("document.querySelectorAll('#entries progress').length === 0")
        choose(page, "lung_point")
        save(page, PICTURES / "viewer.jpg")
        choose(page, "present")
        page.click("[data-show=saliency]")
        see(page, *TELEPHONE, scheme="light")
        page.value("document.querySelector('.film').scrollIntoView()")
        time.sleep(1)
        save(page, PICTURES / "viewer_telephone.jpg")


def see(page: Page, width_px: int, height_px: int, *, scheme: str) -> None:
    """On a screen of this size, light or dark."""
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1 if width_px > 500 else 2, mobile=False
    )
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def choose(page: Page, standing: str) -> None:
    """In the middle of its clip, stopped, once all of it is drawn."""
    page.value(f"document.querySelector('#entries .tone-{standing} .choose').click()")
    page.wait_for(
        "!document.querySelector('#stage').classList.contains('waiting') && document.querySelector('#mmode-windows').innerText !== ''"
    )
    time.sleep(3)
    page.value("document.querySelector('#play.playing')?.click()")
    page.value("(document.querySelector('#position').value = 60, document.querySelector('#position').dispatchEvent(new Event('input')))")
    page.value("scrollTo(0, 0)")
    time.sleep(1)


def save(page: Page, path: Path) -> None:
    png = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    cv2.imwrite(str(path), cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
