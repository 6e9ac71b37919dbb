"""Long jobs: work that takes minutes, done in chunks in the bulk lane, with progress and cancel.

    POST ──► row + event ─► bulk lane ─► chunk: work + progress + next event in one transaction ─┐
                                ▲                                                                │
                                └── each chunk waits its turn among all organizations ◄──────────┘

A chunk is done for one version of the row, and changes it: whoever comes with an older one does nothing.
"""

from dana.platform.longjobs.records import (
    ENDED,
    Advance,
    JobProblem,
    LongJob,
    Request,
    cancel,
    find,
    list_jobs,
    list_problems,
)
from dana.platform.longjobs.running import Kind, LongJobs, request

__all__ = [
    "ENDED",
    "Advance",
    "JobProblem",
    "Kind",
    "LongJob",
    "LongJobs",
    "Request",
    "cancel",
    "find",
    "list_jobs",
    "list_problems",
    "request",
]
