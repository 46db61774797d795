"""The leak report: what is wrong with a table of labelled clips, and how its classes are spread, as a page of Markdown."""

from collections import Counter
from collections.abc import Sequence

from service.manifest import Label, LabelledClip, Manifest
from training.leaks import Finding
from training.likeness import LIMIT

BALANCED_BY = ("split", "site", "device", "probe", "source")


def balance(manifest: Manifest, column: str) -> list[list[str]]:
    """Clips of each label, and patients, for each value of `column`: a header, a row a value (the largest first), a total."""
    groups: dict[str, list[LabelledClip]] = {}
    for clip in manifest:
        groups.setdefault(str(getattr(clip, column)), []).append(clip)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    lines = [_line(name or "not stated", clips) for name, clips in ordered]
    header = [column, *Label, "clips", "patients"]
    return [header, *lines, _line("all", manifest.clips)]


def write_report(manifest: Manifest, findings: Sequence[Finding], *, looked: int | None) -> str:
    """`looked`: how many files were compared as pictures; None when they were not."""
    parts = [
        "# Leak report",
        _summary(manifest),
        "## Findings",
        _findings(findings),
        "## How it was looked for",
        _method(looked),
        "## Balance",
    ]
    parts += [_table(balance(manifest, column)) for column in BALANCED_BY]
    return "\n\n".join(parts) + "\n"


def _summary(manifest: Manifest) -> str:
    splits = len({clip.split for clip in manifest if clip.split})
    stated = f"{splits} splits, and no patient in two of them" if splits else "no splits stated; patients are dealt when training"
    return (
        f"{len(manifest)} rows, {len({clip.file.resolve() for clip in manifest})} files, {len(set(manifest.patients))} patients; {stated}."
    )


def _findings(findings: Sequence[Finding]) -> str:
    return "\n".join(f"* **{finding.gravity.capitalize()}.** {_escaped(finding.text)}" for finding in findings) or "None."


def _method(looked: int | None) -> str:
    if looked is None:
        return "The pictures were not compared."
    return (
        f"{looked} files were compared by perceptual hashes of their echoes (phash, 16 x 16, eight frames, seven crops). Clips of two "
        f"patients count as copies where at most {LIMIT:.2f} of the bits differ. "
        "Mirrored or turned copies are not found, nor most that were cropped on one side only."
    )


def _line(name: str, clips: Sequence[LabelledClip]) -> list[str]:
    counts = Counter(clip.label for clip in clips)
    return [name, *(str(counts[label]) for label in Label), str(len(clips)), str(len({clip.patient for clip in clips}))]


def _table(lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in [lines[0], rule, *lines[1:]])


def _escaped(text: str) -> str:
    """So that a site's name cannot end a cell, begin a tag or a link."""
    return "".join(f"\\{c}" if c in "|<[\\`*" else " " if c in "\r\n" else c for c in text)
