"""UWS: jobs that run in the background, of any protocol."""

from ._context import JobContext
from ._job import Job, JobError, JobResult, public_name
from ._limits import JobLimits
from ._parameters import Merge
from ._phases import ACTIVE, TRANSITIONS, Event, Phase
from ._requests import Wait, parse_wait
from ._resources import JobResources, ResultUrl
from ._runner import Call
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
    "Merge",
    "Phase",
    "ResultUrl",
    "Wait",
    "parse_wait",
    "public_name",
]
