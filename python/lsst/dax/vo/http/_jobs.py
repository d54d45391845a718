"""The paths of a list of jobs (UWS 1.1), for any protocol."""

__all__ = ["add_job_routes"]

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response as HttpResponse

from ..config import ServiceConfig
from ..dali import ParamSet, Response
from ..uws import ACTIVE, JobResources, JobService, ResultUrl, Wait, parse_wait
from ._bridge import Endpoint, add_endpoint, answer_request, to_http
from ._errors import error_document
from ._forms import open_params
from ._streams import GONE, run_while_there

_CONTROLS = (
    ("PHASE", "RUN to run the job at once"),
    ("EXECUTIONDURATION", "Seconds that the job may run"),
    ("DESTRUCTION", "When the job is removed, UTC"),
)
_FILTERS = (
    ("PHASE", "Only jobs in this phase; may be repeated"),
    ("AFTER", "Only jobs that were made after this time, UTC"),
    ("LAST", "Only so many jobs, the newest"),
)
_WAIT = (
    ("WAIT", "Seconds to wait for the phase to change; -1 for as long as the service waits"),
    ("PHASE", "Wait only in this phase"),
)
# Another process may change a job, and its watcher is told of that with a
# delay; this is for what it misses.
_LOOK_S = 5.0

type _JobAnswer = Callable[[ParamSet, str, dict[str, str]], Response]
"""Parameters, URL of the list and path parameters to an answer."""


def add_job_routes(
    router: APIRouter,
    prefix: str,
    jobs: JobService,
    config: ServiceConfig,
    *,
    parameters: Sequence[tuple[str, str]] = (),
    uploads: bool = False,
    result_url: ResultUrl | None = None,
) -> None:
    """Serve a list of jobs.

    Parameters
    ----------
    router
        Where the paths are added.
    prefix
        Path of the list, below that of the router: ``/async``.
    jobs
        The jobs.
    config
        Base URL, trusted proxies and limits.
    parameters
        Names and descriptions of the parameters of a job.
    uploads
        Whether files may come with them.
    result_url
        URL of a result; by default the one below its job.
    """
    resources = JobResources(jobs, result_url)
    path = f"{router.prefix}{prefix}"
    job = f"{prefix}/{{job_id}}"

    def add(endpoint: Endpoint, answer: _JobAnswer) -> None:
        add_endpoint(
            router, endpoint, config, lambda params, base, names: answer(params, f"{base}{path}", names)
        )

    add(
        Endpoint(prefix, "Jobs (UWS)", _FILTERS, ("GET",)),
        lambda params, url, _: resources.list_jobs(params, url),
    )
    add(
        Endpoint(prefix, "Make a job (UWS)", (*parameters, *_CONTROLS), ("POST",), uploads=uploads),
        lambda params, url, _: resources.create(params, url, base_url=url.removesuffix(path)),
    )
    read_endpoint = Endpoint(job, "One job (UWS)", _WAIT, ("GET",))
    _add_waiting(router, read_endpoint, config, jobs, path, result_url)
    add(
        Endpoint(job, "Remove a job (UWS)", (("ACTION", "DELETE"),), ("POST",)),
        lambda params, url, names: resources.act(names["job_id"], params, url),
    )
    add(
        Endpoint(job, "Remove a job (UWS)", (), ("DELETE",)),
        lambda _, url, names: resources.delete(names["job_id"], url),
    )
    for item, summary, is_set in (
        ("phase", "Phase of a job (UWS)", True),
        ("executionduration", "Seconds that a job may run (UWS)", True),
        ("destruction", "When a job is removed (UWS)", True),
        ("quote", "When a job is expected to end: not known (UWS)", False),
        ("owner", "Owner of a job: nobody (UWS)", False),
    ):
        read, change = _item_answers(resources, item)
        add(Endpoint(f"{job}/{item}", summary, (), ("GET",)), read)
        if is_set:
            value = ((item.upper(), "The new value"),)
            add(Endpoint(f"{job}/{item}", summary, value, ("POST",)), change)
    add(
        Endpoint(f"{job}/error", "Why a job failed (UWS)", (), ("GET",)),
        lambda _params, _url, names: resources.read_error(names["job_id"]),
    )
    add(
        Endpoint(f"{job}/parameters", "Parameters of a job (UWS)", (), ("GET",)),
        lambda _params, _url, names: resources.read_parameters(names["job_id"]),
    )
    add(
        Endpoint(f"{job}/parameters", "Set parameters (UWS)", parameters, ("POST",), uploads=uploads),
        lambda params, url, names: resources.set_parameters(names["job_id"], params, url),
    )
    add(
        Endpoint(f"{job}/parameters/{{name}}", "One parameter, or file (UWS)", (), ("GET",)),
        lambda _params, _url, names: resources.read_parameters(names["job_id"], names["name"]),
    )
    add(
        Endpoint(f"{job}/results", "Results of a job (UWS)", (), ("GET",)),
        lambda _params, url, names: resources.read_results(names["job_id"], url),
    )
    add(
        Endpoint(f"{job}/results/{{name}}", "One result (UWS)", (), ("GET",)),
        lambda _params, _url, names: resources.read_result(names["job_id"], names["name"]),
    )


def _item_answers(resources: JobResources, item: str) -> tuple[_JobAnswer, _JobAnswer]:
    """Return what reads and what changes one value of a job."""

    def read(_params: ParamSet, _url: str, names: dict[str, str]) -> Response:
        return resources.read_item(names["job_id"], item)

    def change(params: ParamSet, url: str, names: dict[str, str]) -> Response:
        return resources.change_item(names["job_id"], item, params, url)

    return read, change


def _add_waiting(
    router: APIRouter,
    endpoint: Endpoint,
    config: ServiceConfig,
    jobs: JobService,
    path: str,
    result_url: ResultUrl | None,
) -> None:
    """Serve a job, at once or when its phase has changed."""
    resources = JobResources(jobs, result_url)

    async def serve(request: Request) -> HttpResponse:
        job_id = request.path_params["job_id"]
        try:
            async with open_params(request, config.limits.request_bytes) as params:
                wait = parse_wait(params)
            if wait is not None and not await run_while_there(
                # Nothing that would have to be stopped: a task is cancelled.
                partial(_wait, jobs, job_id, wait),
                request.receive,
                lambda: None,
            ):
                return to_http(GONE)
        except Exception as err:  # the last frame that knows the path's standard
            return to_http(error_document(err, endpoint.errors))
        return await answer_request(
            request, endpoint, config, lambda _params, base, _names: resources.read(job_id, f"{base}{path}")
        )

    for method in ("GET", "HEAD"):
        router.add_api_route(
            endpoint.path,
            serve,
            methods=[method],
            summary=endpoint.summary,
            operation_id=f"{method} {router.prefix}{endpoint.path}",
            response_class=HttpResponse,
            openapi_extra={
                "parameters": [
                    {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
                    for name, text in endpoint.parameters
                ]
            },
            include_in_schema=method != "HEAD",
        )


async def _wait(jobs: JobService, job_id: str, wait: Wait) -> None:
    """Wait for a change of phase, without a thread: any number may wait."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def tell() -> None:
        # From a thread of the jobs; a loop that has ended has nobody waiting.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(changed.set)

    end = jobs.listen(job_id, tell)
    try:
        job = await to_thread.run_sync(jobs.find, job_id)
        first, last_s = job.phase, loop.time() + wait.seconds
        if first not in ACTIVE or wait.phase not in (None, first):
            return
        while job.phase is first and (left_s := last_s - loop.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left_s, _LOOK_S))
            changed.clear()
            job = await to_thread.run_sync(jobs.find, job_id)
    finally:
        end()
