"""The paper every diagram is drawn on: matplotlib's objects without its global figure, SVG that is the same each time.

Colours are Okabe and Ito's, told apart with every common colour blindness, ordered so that neighbours differ in grey;
each line has a style of its own as well.
"""

import io
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = (
    ("#0072b2", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", "-.", "^"),
    ("#000000", ":", "D"),
    ("#cc79a7", (0, (7, 2)), "v"),
    ("#56b4e9", (0, (3, 1, 1, 1)), "P"),
    ("#e69f00", (0, (5, 1)), "X"),
)
"""Colour, line, mark; taken in turn."""
QUIET = "#6b7580"

_settings_lock = Lock()
"""matplotlib reads how an SVG is written from global settings where it writes, and from nowhere else."""


@dataclass(frozen=True, slots=True)
class Canvas:
    figure: "Figure"
    axes: "Axes"

    @classmethod
    def blank(cls, x_label: str, y_label: str, *, width_in: float = 5.6, height_in: float = 4.2) -> "Canvas":
        # Here, not above: as it is imported it looks for fonts, and writes what it finds to the home folder.
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e3e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        return cls(figure, axes)

    def unit_square(self) -> None:
        """Both axes from 0 to 1, the margin wide enough for a line on the edge."""
        self.axes.set_xlim(-0.02, 1.02)
        self.axes.set_ylim(-0.02, 1.02)
        self.axes.set_aspect("equal")

    def legend(self) -> None:
        if self.axes.get_legend_handles_labels()[1]:
            self.figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)

    def svg(self) -> bytes:
        """The finished diagram; the same bytes for the same figures."""
        content = io.BytesIO()
        # The salt makes the ids within the file the same each time; text stays text, so that it can be searched and read aloud.
        with _settings_lock, matplotlib.rc_context({"svg.hashsalt": "seashore", "svg.fonttype": "none"}):
            self.figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
        return content.getvalue()


def plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
