"""Signatures are secrets: they do not stand in logs."""

from __future__ import annotations

__all__ = ["redact_logs", "without_signatures"]

import logging
import re
from collections.abc import Mapping
from typing import override

# Ours, and those of stores: S3 (both kinds), Google's, macaroons of WebDAV.
_SIGNED = re.compile(
    r"((?:^|[?&\s\"'])(?:signature|x-amz-signature|x-amz-security-token|x-goog-signature|authz)=)[^&\s\"']*",
    re.IGNORECASE,
)
_LOGGERS = ("uvicorn.access", "hypercorn.access", "gunicorn.access")


def without_signatures(text: str) -> str:
    """Return a text without the signatures of URLs in it.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    text : `str`
    """
    return _SIGNED.sub(r"\1...", text)


class _Redact(logging.Filter):
    """Takes signatures out of what is logged."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _redacted(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {key: _redacted(value) for key, value in record.args.items()}
        elif record.args:
            record.args = tuple(_redacted(value) for value in record.args)
        return True


def _redacted(value: object) -> object:
    return without_signatures(value) if isinstance(value, str) else value


_REDACT = _Redact()


def redact_logs() -> None:
    """Let the access logs of servers have no signatures.

    Our own server keeps no such log; others, which can run the application as
    well, write whole targets of requests.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACT)
