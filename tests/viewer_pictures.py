"""`python -m tests.viewer_pictures`: docs/pictures/viewer*.jpg, the page with the clips that it offers, as a browser shows it."""

import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import httpx
import numpy as np

from tests.fakes.browser import Page, chromium
from tests.fakes.service import is_ready, serving, shipped_reader

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CLIPS = ("present", "absent", "lung_point", "not_assessable")
DESK, TELEPHONE, TABLET = (1280, 1180), (390, 844), (1180, 980)


def main() -> None:
    with (
        TemporaryDirectory() as folder,
        serving(shipped_reader(), data_dir=Path(folder) / "data") as client,
        chromium(Path(folder)) as page,
    ):
        is_ready(client)
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
        see(page, *TABLET, scheme="light")
        page.click("[data-show=saliency]")
        page.click("[data-show=motion]")
        open_patch(page, client)
        save(page, PICTURES / "viewer_patch.jpg")


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


def open_patch(page: Page, client: httpx.Client) -> None:
    """The first one of the clip that is shown, above everything else."""
    answer = client.get(f"/v1/jobs/{page.value('location.hash.slice(1)')}/result").json()
    x0, y0, x1, y1 = answer["windows"][0]["patches"][0]["box"]
    page.drag("#picture", ((x0 + x1 + 1) / 2 / answer["clip"]["width"], (y0 + y1 + 1) / 2 / answer["clip"]["height"]))
    page.value("document.querySelector('#viewer').scrollIntoView()")
    time.sleep(1)


def save(page: Page, path: Path) -> None:
    png = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    cv2.imwrite(str(path), cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
