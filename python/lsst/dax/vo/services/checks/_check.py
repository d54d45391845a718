"""Check whatever there is to check: a configuration, a store, or a service."""

from __future__ import annotations

__all__ = ["Report", "check"]

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ...errors import NotFoundError, UsageError
from ...obscore import Finding, check_config
from ...repo import open_repository
from ._service import check_service
from ._service_config import check_service_config, is_service_config
from ._store import check_store

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    findings: tuple[Finding, ...]
    """What is wrong, or may be."""

    notes: tuple[str, ...] = ()
    """What is there, or works."""

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def describe(self) -> str:
        """Say all of it, a finding in a line.

        Returns
        -------
        text : `str`
            For a person, without an end of line.
        """
        warnings = len(self.findings) - self.errors
        found = [
            f"{count} {word}{'s'[: count != 1]}"
            for count, word in ((self.errors, "error"), (warnings, "warning"))
            if count
        ]
        lines = [*self.notes, *(finding.describe() for finding in self.findings)]
        return "\n".join([*lines, " and ".join(found) or "Nothing is wrong."])


def check(target: str, *, repo: str | None = None, label: str | None = None) -> Report:
    """Find what is wrong with a configuration, a store, or a running service.

    Parameters
    ----------
    target
        Path of a configuration, of the exporter or of the services, a store,
        or an address.
    repo
        Path, URI or label of the repository that a configuration of the
        exporter, or a store, is for.
    label
        Label of the repository; by default its own.

    Returns
    -------
    report : `Report`

    Raises
    ------
    NotFoundError
        Raised if there is no such thing.
    UsageError
        Raised if it cannot be told what it is, or it cannot be read.
    """
    if target.startswith(("http://", "https://")):
        _refuse_repository(repo, "a service")
        findings, notes = check_service(target)
        return Report(tuple(findings), tuple(notes))
    path = Path(target)
    # The repository of the Butler's own table may be named by its butler.yaml.
    is_live = target.startswith("live:")
    if not is_live and (path.suffix.lower() in _SUFFIXES or path.is_file()):
        return _check_file(path, repo, label)
    findings, notes = check_store(target, repo)
    return Report(tuple(findings), tuple(notes))


def _check_file(path: Path, repo: str | None, label: str | None) -> Report:
    try:
        text = path.read_text()
    except FileNotFoundError as err:
        raise NotFoundError(
            f"There is no configuration {path}; make one of the exporter with "
            f"'butler vo init REPO --output {path}'"
        ) from err
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"The configuration {path} cannot be read: {err}") from err
    if is_service_config(text):
        _refuse_repository(repo, "a configuration of the services, which names its own")
        findings, notes = check_service_config(path)
        return Report(tuple(findings), tuple(notes))
    if repo is None:
        return Report(
            tuple(check_config(text, str(path))),
            ("Without --repo, names are not compared with those of a repository.",),
        )
    with closing(open_repository(repo, label=label)) as repository, repository.session() as butler:
        return Report(tuple(check_config(text, str(path), butler=butler, label=repository.label)))


def _refuse_repository(repo: str | None, what: str) -> None:
    if repo is not None:
        raise UsageError(
            f"--repo is for a configuration of the exporter or a store, not for {what}; leave it out"
        )
