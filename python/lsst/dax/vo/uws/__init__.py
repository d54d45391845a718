"""UWS: jobs that run in the background, of any protocol."""

from ._context import JobContext
from ._job import Job, JobError, JobResult
from ._phases import ACTIVE, TRANSITIONS, Event, Phase
from ._requests import Wait, parse_wait
from ._resources import JobResources
from ._runner import Call, JobLimits
from ._service import JobService

__all__ = [
    "ACTIVE",
    "TRANSITIONS",
    "Call",
    "Event",
    "Job",
    "JobContext",
    "JobError",
    "JobLimits",
    "JobResources",
    "JobResult",
    "JobService",
    "Phase",
    "Wait",
    "parse_wait",
]
