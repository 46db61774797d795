"""What an archive says of an object that it was given: taken or not, for good or not, in words (PS3.4 B.2.3, PS3.7 C, PS3.18 I.2.2)."""

from dataclasses import dataclass

SUCCESS = 0x0000
DUPLICATE = 0x0111
"""Result UIDs are made from what they name, so what is there already under this one was taken before."""
PROCESSING_FAILURE = 0x0110
NOT_AUTHORISED = 0x0124

_WARNINGS = {
    0xB000: "changed values of some elements",
    0xB006: "left out some elements",
    0xB007: "says that it does not match its SOP class",
    DUPLICATE: "says that it had it already",
}
_REFUSALS = {
    PROCESSING_FAILURE: ("it failed while storing it", "Its log should say why."),
    0x0106: ("it finds an attribute's value invalid", "Its log should say which; send it to us."),
    0x0112: ("it does not know such an instance", "Its log should say why."),
    0x0117: ("it finds the object's UID invalid", "Its log should say why; send it to us."),
    0x0119: ("the object does not fit its SOP class", "Its log should say why; send it to us."),
    0x0122: ("it does not take this kind of object", "Allow its SOP class there, or leave it out of `results` in the site file."),
    NOT_AUTHORISED: ("Seashore may not store there", "Allow it there."),
    0x0131: ("the transaction UID was used before", "Ask again with another one."),
}
_RANGES = (
    (0xA700, 0xA7FF, ("it is out of resources", "Its disk may be full, or it failed in another way: its log should say.")),
    (0xA900, 0xA9FF, ("the object does not match its SOP class", "Its log should say why; send it to us.")),
    (0xC100, 0xC1FF, ("it does not take this kind of object or transfer syntax", "Allow it there, or leave it out of `results`.")),
    (0xC000, 0xCFFF, ("it cannot understand the object", "Its log should say why; send it to us.")),
)
_UNKNOWN = ("it gave no reason that the standard knows", "Its log should say why.")
_WAITING_HELPS = (PROCESSING_FAILURE, NOT_AUTHORISED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one object. `words` complete "The archive ...", or give the reason for which it was refused."""

    is_accepted: bool
    is_permanent: bool
    words: str
    advice: str = ""


def judge(status: int) -> Verdict:
    """Of a status or of a failure reason: only success and warnings are "accepted"."""
    if status == SUCCESS:
        return Verdict(True, False, "")
    if status in _WARNINGS:
        return Verdict(True, False, _WARNINGS[status])
    if 0xB000 <= status <= 0xBFFF:
        return Verdict(True, False, f"warns of something with status {status:04X}")
    words, advice = _REFUSALS.get(status) or next((said for low, high, said in _RANGES if low <= status <= high), _UNKNOWN)
    return Verdict(False, not _may_pass(status), words, advice)


def _may_pass(status: int) -> bool:
    return status in _WAITING_HELPS or 0xA700 <= status <= 0xA7FF
