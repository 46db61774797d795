"""open_clip(): the bytes of an upload -> a Clip. What the bytes are is told from the bytes, never from a name."""

from service.cine import dicom
from service.cine.clip import DEFAULT_LIMITS, Clip, DecodeLimits
from service.cine.ffmpeg import FFmpegSource
from service.cine.handed import ClipFile
from service.cine.sniff import ACCEPTED, HEAD_BYTES, Dicom, Film, Foreign, sniff
from service.cine.survey import check_size, survey
from service.errors import EmptyUpload, UnsupportedFormat

__all__ = ["DEFAULT_LIMITS", "DecodeLimits", "open_clip"]


def open_clip(source: ClipFile, limits: DecodeLimits) -> Clip:
    """Decode the clip once, to count and time its frames.

    MP4, MOV, AVI, MKV, WebM, MPEG (program, transport or bare stream), GIF, ultrasound DICOM. A file given by its path must
    stay where it is as long as the clip is in use.

    Raises: EmptyUpload, UnsupportedFormat, NoVideo, UnreadableClip, WrongModality, FrameTooLarge, FrameTooSmall, ClipTooLong.
    """
    head = _head(source)
    if not head:
        raise EmptyUpload("The upload is empty: it has 0 bytes.")
    match sniff(head):
        case Film(av_format, container):
            if container == "gif":
                _check_gif(head, limits)  # FFmpeg's guard stops a huge one too, but does not say why
            return survey(FFmpegSource(source, av_format, container, limits), limits)
        case Dicom():
            return survey(dicom.open_source(source, limits), limits)
        case Foreign(what):
            raise UnsupportedFormat(f"This is {what}, not a clip. {ACCEPTED} clips can be read.")
        case None:
            raise UnsupportedFormat(f"This is not a clip of a known kind. {ACCEPTED} clips can be read.")


def _check_gif(head: bytes, limits: DecodeLimits) -> None:
    """Its screen's width and height follow its six letters."""
    if len(head) >= 10:
        check_size(int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"), limits)


def _head(source: ClipFile) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    with source.open("rb") as file:
        return file.read(HEAD_BYTES)
