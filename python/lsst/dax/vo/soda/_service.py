"""SODA: requests for cutouts, at once and as jobs."""

from __future__ import annotations

__all__ = ["SodaService"]

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain

from ..dali import Hangup, ParamSet, Response, fault_of, message_of
from ..errors import TransientError, UnsupportedError, UsageError, VoError
from ._cache import SpooledCutout
from ._description import describe_capabilities, describe_examples
from ._examples import CutoutExample
from ._formats import Format, Package
from ._jobs import JobContext, write_results
from ._package import write_package
from ._plan import Locate, PlannedProduct, plan_cutouts, run_planned
from ._request import CutoutRequest, Detail, parse_request
from ._result import Cutout, CutoutAnswer
from ._runner import CutoutRunner, LocalRunner, Outcome

_PLAIN_TEXT = "text/plain; charset=utf-8"
# Cutouts up to this size are sent at once, and not in chunks.
_SMALL_BYTES = 4 * 2**20
_ADVICE = (
    "send one request for each value, or ask for a package (RESPONSEFORMAT=tar, zip or mef), or make it a "
    "job at /api/cutout/async"
)


class SodaService:
    """Answers SODA requests; jobs are run for a list of jobs.

    Parameters
    ----------
    locate
        From identifiers, as clients send them, to the files that are cut, or
        why there are none.
    version
        Version of the software, for the header of each cutout.
    runner
        Cuts; by default the calling thread.
    max_pixels
        Most pixels of one plane of a cutout; without a limit by default.
    max_products
        Most cutouts of one request; without a limit by default.
    find_example
        Finds what the page of examples shows.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        locate: Locate,
        *,
        version: str,
        runner: CutoutRunner | None = None,
        max_pixels: int | None = None,
        max_products: int | None = None,
        find_example: Callable[[], CutoutExample | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._locate = locate
        self._version = version
        self._runner: CutoutRunner = runner or LocalRunner()
        self._max_pixels = max_pixels
        self._max_products = max_products
        self._find_example = find_example
        self._clock = clock

    def start(self) -> None:
        """Get ready to cut."""
        self._runner.start()

    def close(self) -> None:
        """End what cuts."""
        self._runner.close()

    def cut(self, params: ParamSet) -> Iterator[tuple[PlannedProduct, Outcome]]:
        """Cut all that a request asks for.

        Parameters
        ----------
        params
            The request.

        Returns
        -------
        outcomes : `~collections.abc.Iterator`
            Each product, those of one file together, and its cutout, to be
            closed, or why there is none, or `None` if no pixel is left.

        Raises
        ------
        VoError
            Raised if the request is at fault.
        """
        request = self._parse(params)
        return self._run(request, plan_cutouts(request), params.hangup)

    def sync(self, params: ParamSet) -> Response:
        """Answer ``{sync}``.

        Parameters
        ----------
        params
            The request.

        Returns
        -------
        response : `Response`
            The cutout, or a package of several; 204 without a body when no
            pixel is left of any image; plain text that begins with a word of
            the standard for an error.

        References
        ----------
        SODA 1.0, 5.
        """
        try:
            answer = self.answer(params)
        except VoError as err:
            return self.describe_error(err)
        if answer is None:
            return Response(204, "")
        headers = {"Content-Disposition": f'attachment; filename="{answer.filename}"'}
        body: bytes | Iterator[bytes] = answer.chunks
        if answer.size is not None:
            headers["Content-Length"] = str(answer.size)
            if answer.size <= _SMALL_BYTES:
                body = b"".join(answer.chunks)
        # A package is made while it is sent: that ends as well when its client leaves.
        return Response(200, answer.media_type, body, headers, params.hangup.happen)

    def answer(self, params: ParamSet) -> CutoutAnswer | None:
        """Make the one file that answers a request.

        Parameters
        ----------
        params
            The request.

        Returns
        -------
        answer : `CutoutAnswer` or `None`
            `None` if no pixel is left of any image.

        Raises
        ------
        MultiValuedError
            Raised if there are several cutouts, and no package was asked for.
        VoError
            Raised if the request is at fault, or all its products are.
        """
        request = self._parse(params)
        products, form = plan_cutouts(request), request.form
        outcomes = self._run(request, products, params.hangup)
        if form.package is not Package.NONE:
            package = self._package(form, len(products), outcomes)
            if isinstance(package, VoError):
                raise package
            if package is None:
                return None
            return CutoutAnswer(form.media_type, f"cutouts{form.suffix}", package)
        if len(products) > 1:
            request.single(advice=_ADVICE)
        ((_, outcome),) = outcomes
        if isinstance(outcome, VoError):
            raise outcome
        if outcome is None:
            return None
        description = outcome.describe() if isinstance(outcome, Cutout) else ""
        return CutoutAnswer(outcome.media_type, outcome.filename, outcome.chunks(), outcome.size, description)

    def run_job(self, params: ParamSet, context: JobContext) -> None:
        """Run a job of ``{async}``.

        Parameters
        ----------
        params
            The parameters of the job.
        context
            Where results go.

        Raises
        ------
        VoError
            Raised if the request is at fault, or all its products are.

        References
        ----------
        SODA 1.0, 3.2.2 and 5.2.
        """
        request = self._parse(params)
        products, form = plan_cutouts(request), request.form
        with closing(self._run(request, products, params.hangup, background=True)) as outcomes:
            if form.package is not Package.NONE:
                chunks = self._package(form, len(products), outcomes)
                if chunks is None:
                    chunks = UsageError("No pixel is left of any image; ask for another place or interval")
                if isinstance(chunks, VoError):
                    raise chunks
                with context.open_result("cutouts", form.media_type) as stream:
                    for chunk in chunks:
                        stream.write(chunk)
                return
            write_results(outcomes, context, count=len(products), describe_error=_text_of)

    def describe_error(self, error: Exception) -> Response:
        """Describe an error as SODA does.

        Parameters
        ----------
        error
            Any error.

        Returns
        -------
        response : `Response`

        References
        ----------
        SODA 1.0, 5.3.
        """
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else {}
        media_type, text = _text_of(error)
        return Response(fault_of(error).http_status, media_type, f"{text}\n".encode(), headers)

    def capabilities(self, base_url: str) -> Response:
        """Answer ``/capabilities``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `Response`
        """
        return describe_capabilities(f"{base_url}/api/cutout")

    def examples(self, base_url: str) -> Response:
        """Answer ``/examples``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `Response`
            A page with requests that find something.

        References
        ----------
        DALI 1.1, 2.3; SODA 1.0, 2.1.
        """
        try:
            found = self._find_example()
        except VoError as err:
            return self.describe_error(err)
        return describe_examples(found, f"{base_url}/api/cutout")

    def _parse(self, params: ParamSet) -> CutoutRequest:
        request = parse_request(params)
        if self._max_products is not None and request.count > self._max_products:
            raise UsageError(
                f"The request asks for {request.count} cutouts; at most {self._max_products} are made at "
                "once: send several requests"
            )
        if request.form.package is Package.MEF and request.detail is Detail.EXPOSURE:
            raise UnsupportedError(
                "A FITS file with the planes of many cutouts cannot hold complete Exposures; ask for "
                "CUTOUTDETAIL=MaskedImage, or for RESPONSEFORMAT=tar"
            )
        return request

    def _run(
        self,
        request: CutoutRequest,
        products: Sequence[PlannedProduct],
        hangup: Hangup,
        *,
        background: bool = False,
    ) -> Generator[tuple[PlannedProduct, Outcome]]:
        return run_planned(
            products,
            request,
            locate=self._locate,
            runner=self._runner,
            version=self._version,
            time_s=self._clock(),
            max_pixels=self._max_pixels,
            hangup=hangup,
            background=background,
        )

    def _package(
        self, form: Format, count: int, outcomes: Iterator[tuple[PlannedProduct, Outcome]]
    ) -> Iterator[bytes] | VoError | None:
        """Return a package; without any cutout, the first reason."""
        empty: list[tuple[PlannedProduct, Outcome]] = []
        for product, outcome in outcomes:
            empty.append((product, outcome))
            if isinstance(outcome, Cutout | SpooledCutout):
                every = chain(empty, outcomes)
                return write_package(form, every, count=count, time_s=self._clock())
        return next((outcome for _, outcome in empty if isinstance(outcome, VoError)), None)


def _text_of(error: Exception) -> tuple[str, str]:
    return _PLAIN_TEXT, f"{fault_of(error).soda}: {message_of(error)}"
