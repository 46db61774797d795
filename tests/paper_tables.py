"""The tables of the papers for a hospital that are made from the code and the model card: `python -m tests.paper_tables` rewrites them."""

from pathlib import Path

from service.bundle import resolve
from service.settings import Settings
from service.validation.estimates import Estimate, share

DOCS = Path(__file__).resolve().parents[1] / "docs"
NUMS_PATIENTS = (10, 20, 30, 60, 100, 200, 300)
CARD_HEAD = "| control | clips |"


def intervals() -> str:
    """95 % intervals of a share by the number of patients, one clip each."""
    lines = ["| patients | none of them | half | nine in ten | all |", "|---|---|---|---|---|"]
    for num in NUMS_PATIENTS:
        cells = [_cell(_estimate(round(part * num), num)) for part in (0, 0.5, 0.9, 1)]
        lines.append(f"| {num} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def card_rows() -> str:
    """What the shipped model's card says of every control."""
    settings = Settings()
    card = (resolve(settings.model_store, settings.default_model) / "MODEL_CARD.md").read_text(encoding="utf-8")
    after = card[card.index(CARD_HEAD) :]
    return after[: after.index("\n\n")] + "\n"


def _estimate(num_hits: int, num: int) -> Estimate:
    return share([k < num_hits for k in range(num)], [str(k) for k in range(num)], "")


def _cell(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f} %"


TABLES = {
    "validate-on-site.md": ("intervals", intervals),
    "intended-use.md": ("card", card_rows),
}


def with_table(page: str) -> str:
    """The page of this name, with its table anew."""
    name, make = TABLES[page]
    begin, end = f"<!-- {name}: begin (python -m tests.paper_tables) -->\n", f"<!-- {name}: end -->\n"
    before, rest = (DOCS / page).read_text(encoding="utf-8").split(begin)
    return before + begin + make() + end + rest.split(end)[1]


def main() -> None:
    for page in TABLES:
        (DOCS / page).write_text(with_table(page), encoding="utf-8")


if __name__ == "__main__":
    main()
