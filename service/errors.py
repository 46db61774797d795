"""The error tree, drawn along the way of a clip. No HTTP here: `service.api.problems` holds the one table of statuses.

    SeashoreError
    |
    +-- RequestError                 the caller can fix it, with another clip or other options
    |   |                            upload ->
    |   +-- EmptyUpload              empty_upload
    |   +-- UploadTooLarge           upload_too_large
    |   |                            decode ->
    |   +-- UnsupportedFormat        unsupported_format    not a clip container at all
    |   +-- NoVideo                  no_video              a container (or DICOM object) without pictures
    |   +-- UnreadableClip           unreadable_clip       damaged; nothing could be decoded
    |   +-- WrongModality            wrong_modality        a DICOM object that is not ultrasound
    |   +-- FrameTooLarge            frame_too_large
    |   +-- FrameTooSmall            frame_too_small
    |   +-- ClipTooLong              clip_too_long
    |   |                            options ->
    |   +-- BadOption                bad_option
    |   +-- UnknownModel             unknown_model
    |   +-- NotAcceptable            not_acceptable
    |   |                            jobs ->
    |   +-- UnknownJob               unknown_job
    |   +-- JobNotDone               job_not_done
    |   |                            pacs ->
    |   +-- NoSuchClips              no_such_clips         the archive holds none under these UIDs
    |
    +-- AccessError                  the caller can fix it with a key
    |   +-- Unauthenticated          unauthenticated       it is not known who asks
    |   +-- Forbidden                forbidden             it is known, and they may not
    |
    +-- BusyError                    the caller can fix it by waiting
    |   +-- Overloaded               overloaded
    |   +-- Stopping                 stopping              the service is about to end
    |   +-- DeadlineExceeded         deadline_exceeded
    |
    +-- OperatorError                only whoever runs the service can fix it
        +-- BadBundle                bad_bundle
        +-- EngineFailed             engine_failed
        +-- LedgerUnavailable        ledger_unavailable    the list of jobs cannot be written or read
        +-- NoRoom                   no_room               the disk is full, or nearly
        +-- BadKeys                  bad_keys              the file of keys cannot be read
        +-- SignOnFailed             sign_on_failed        the issuer of tokens cannot be asked
        +-- BadSite                  bad_site              the PACS site file is wrong
        +-- NoArchive                no_archive            the site file names none to fetch from
        +-- ArchiveFailed            archive_failed        it could not be reached, or would not serve

A bug is none of these: it propagates, becomes a bare 500 and a log line.

`str(error)` is for the caller: what was found, what was needed, in whose units. It never holds a path, a file
name, a library's own text or patient data. `error.log_detail` is for the log; it may hold a library's text.
"""

from typing import ClassVar, Self


class SeashoreError(Exception):
    """Root of every error this product raises on purpose. `code` is stable and public."""

    code: ClassVar[str]

    def __init__(self, message: str, *, retry_after_s: int | None = None, log_detail: str = "") -> None:
        """`retry_after_s`: it may pass by itself, and this is when it is worth asking again."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.log_detail = log_detail

    def anew(self, *, retry_after_s: int | None = None) -> Self:
        """The same, to be raised once more: one that is raised twice gathers the traces, and the causes, of both. Its time is kept
        unless another is given."""
        again_s = self.retry_after_s if retry_after_s is None else retry_after_s
        return type(self)(str(self), retry_after_s=again_s, log_detail=self.log_detail)


class RequestError(SeashoreError):
    """The caller can fix it with another clip or other options."""


class EmptyUpload(RequestError):
    code = "empty_upload"


class UploadTooLarge(RequestError):
    code = "upload_too_large"


class UnsupportedFormat(RequestError):
    code = "unsupported_format"


class NoVideo(RequestError):
    code = "no_video"


class UnreadableClip(RequestError):
    code = "unreadable_clip"


class WrongModality(RequestError):
    code = "wrong_modality"


class FrameTooLarge(RequestError):
    code = "frame_too_large"


class FrameTooSmall(RequestError):
    code = "frame_too_small"


class ClipTooLong(RequestError):
    code = "clip_too_long"


class BadOption(RequestError):
    code = "bad_option"


class UnknownModel(RequestError):
    code = "unknown_model"


class NotAcceptable(RequestError):
    code = "not_acceptable"


class UnknownJob(RequestError):
    code = "unknown_job"


class JobNotDone(RequestError):
    code = "job_not_done"


class NoSuchClips(RequestError):
    code = "no_such_clips"


class AccessError(SeashoreError):
    """The caller can fix it with a key."""


class Unauthenticated(AccessError):
    code = "unauthenticated"


class Forbidden(AccessError):
    code = "forbidden"


class BusyError(SeashoreError):
    """The caller can fix it by waiting: `retry_after_s`, where it is known how long."""


class Overloaded(BusyError):
    code = "overloaded"


class Stopping(BusyError):
    code = "stopping"


class DeadlineExceeded(BusyError):
    code = "deadline_exceeded"


class OperatorError(SeashoreError):
    """Only whoever runs the service can fix it."""


class BadBundle(OperatorError):
    code = "bad_bundle"


class EngineFailed(OperatorError):
    code = "engine_failed"


class BadKeys(OperatorError):
    code = "bad_keys"


class SignOnFailed(OperatorError):
    code = "sign_on_failed"


class BadSite(OperatorError):
    code = "bad_site"


class NoArchive(OperatorError):
    code = "no_archive"


class ArchiveFailed(OperatorError):
    code = "archive_failed"


class LedgerUnavailable(OperatorError):
    code = "ledger_unavailable"


class NoRoom(OperatorError):
    code = "no_room"
