"""The exception tree: an error is named by what its catcher should do.

    IngestdError
    ├── FrameNotReady       look at the file again soon (growing, incomplete)
    ├── FrameRejected       quarantine the frame with the reason; it is not retried by itself
    ├── FrameChanged        the bytes are no longer those of the job's frame: look at the path again
    ├── ProductNotWritten   our side failed (disk full, I/O error): retry with back-off
    │   └── MasterLost      a recorded master is gone or damaged: build it again
    ├── SettingsInvalid     refuse to start, exit status 2
    ├── CatalogueUnusable   refuse to start: the database is not ours, too new, or on a network file system
    └── LockHeld            another daemon owns the data directory, exit status 75

A missing master is not an error: it is the value ``records.Wait``.
"""


class IngestdError(Exception):
    """Base of all errors that ingestd raises on purpose; the text is written for a person."""


class FrameNotReady(IngestdError):
    """The file is still being written: look again soon.

    Parameters
    ----------
    reason : str
        Reason code: ``growing`` or ``incomplete``.
    detail : str
        What was seen, with the numbers.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FrameRejected(IngestdError):
    """The content of the file cannot be used: quarantine it with the reason.

    Parameters
    ----------
    reason : str
        Reason code, a short word such as ``not_fits``.
    detail : str
        What was seen, with the numbers.
    frame_id : str, optional
        Which frame it is, where several are at work.
    """

    def __init__(self, reason: str, detail: str, frame_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.frame_id = frame_id


class FrameChanged(IngestdError):
    """The file's bytes are not those of the frame that was planned: it was rewritten or removed."""


class ProductNotWritten(IngestdError):
    """A product could not be written completely; nothing stands under its final name."""


class MasterLost(ProductNotWritten):
    """The file of a recorded master is missing or damaged: build it again.

    Parameters
    ----------
    path : str
        Where it should lie.
    what : str
        What was found instead.
    """

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class SettingsInvalid(IngestdError):
    """The settings cannot be used; the text names the key path, the value and what is allowed."""


class CatalogueUnusable(IngestdError):
    """The calibration database cannot be opened safely."""


class LockHeld(IngestdError):
    """Another process holds the lock of the data directory."""
