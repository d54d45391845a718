"""Answers to requests for files that are open."""

from __future__ import annotations

__all__ = ["answer_content"]

from collections.abc import Mapping
from contextlib import ExitStack

from ...dali import ByteRange, Response
from ._contents import Content
from ._plan import plan_delivery


def answer_content(
    content: Content,
    stack: ExitStack,
    *,
    method: str,
    headers: Mapping[str, str] | None,
    left_s: int,
    further: Mapping[str, str] | None = None,
) -> Response:
    """Answer a request for a file that is open.

    Parameters
    ----------
    content
        The file.
    stack
        Closes it; taken over by the answer if that is still to be read.
    method
        ``GET`` or ``HEAD``.
    headers
        Headers of the request.
    left_s
        Seconds for which its URL still works.
    further
        Further headers of the answer.

    Returns
    -------
    response : `Response`

    Raises
    ------
    NotFoundError, UnsupportedError, TransientError
        Raised if the file is in a store which does not give it.
    """
    plan = plan_delivery(method, headers or {}, content.facts)
    answer = {**plan.headers, "Cache-Control": f"private, max-age={left_s}", **(further or {})}
    if not any(isinstance(section, ByteRange) for section in plan.sections):
        body = b"".join(section for section in plan.sections if isinstance(section, bytes))
        return Response(plan.status, plan.media_type, body, answer)
    kept = stack.pop_all()
    try:
        chunks, cancel = content.read(plan.sections, kept.close)
    except BaseException:
        kept.close()
        raise
    return Response(plan.status, plan.media_type, chunks, answer, cancel)
