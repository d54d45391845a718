"""What ``butler vo cutout`` does, as functions; nothing is served, and no process started."""

from __future__ import annotations

__all__ = ["cut_dataset", "cut_file", "write_cutouts"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from lsst.resources import ResourcePath

from .. import __version__
from ..dali import ParamSet
from ..errors import MultiValuedError, NotFoundError, UnsupportedError, UsageError, VoError, quoted
from ..files import replacing
from ..repo import Dataset, Repositories, open_repository
from ..soda import Backend, Cutout, CutoutSource, Extent, SodaService
from ._cutout_service import cutout_locator

_NO_PIXELS = "No pixel of the image lies inside the region, or a filter leaves it out; nothing was written"


def cut_dataset(
    repo: str | Path,
    dataset: str,
    pairs: Iterable[tuple[str, str]],
    *,
    backend: Backend = Backend.AUTO,
) -> Cutout | None:
    """Cut a region out of a dataset.

    Parameters
    ----------
    repo
        Path, URI or label of the repository.
    dataset
        Identifier in any accepted form.
    pairs
        Parameters of SODA, names and values.
    backend
        What reads the file; by default what fits it.

    Returns
    -------
    cutout : `~lsst.dax.vo.soda.Cutout` or `None`
        `None` when no pixel is left.

    Raises
    ------
    NotFoundError
        Raised if there is no such repository, dataset or file.
    UsageError
        Raised if a parameter is not accepted.
    UnsupportedError
        Raised if the file cannot be cut.
    """
    with _service(repo, backend=backend) as service:
        return _single(service, [("ID", dataset), *pairs])


def cut_file(
    path: str | Path, pairs: Iterable[tuple[str, str]], *, backend: Backend = Backend.AUTO
) -> Cutout | None:
    """Cut a region out of a file of no repository.

    Parameters
    ----------
    path
        Path or URL.
    pairs
        Parameters of SODA but ``ID``, names and values.
    backend
        What reads the file; by default what fits it.

    Returns
    -------
    cutout : `~lsst.dax.vo.soda.Cutout` or `None`
        `None` when no pixel is left.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UsageError
        Raised if a parameter is not accepted.
    UnsupportedError
        Raised if the file cannot be cut.
    """
    with _service(None, backend=backend) as service:
        return _single(service, [("ID", str(path)), *pairs])


def write_cutouts(
    output: Path,
    pairs: Sequence[tuple[str, str]],
    *,
    repo: str | Path | None = None,
    hdu: str | None = None,
    backend: Backend = Backend.AUTO,
) -> Iterator[str]:
    """Write all cutouts that some parameters ask for.

    Parameters
    ----------
    output
        File for the one cutout, or for the package of all; otherwise a
        folder that exists, for a file for each.
    pairs
        Parameters of SODA, names and values.
    repo
        Path, URI or label of the repository; without one, each ``ID`` is the
        path or URL of a file.
    hdu
        Number or name of the HDU with the image, in files without a
        repository.
    backend
        What reads the files; by default what fits each.

    Yields
    ------
    line : `str`
        What was written.

    Raises
    ------
    NotFoundError
        Raised if there is no such repository or dataset; of several cutouts,
        after the others were written.
    VoError
        Raised likewise if a cutout cannot be made.
    """
    params = ParamSet.from_pairs(pairs)
    with _service(repo, hdu, backend) as service:
        if output.is_dir():
            yield from _write_each(service, params, output)
            return
        try:
            answer = service.answer(params)
        except MultiValuedError as err:
            raise UsageError(
                f"Several cutouts ({err.parameter}) do not fit into the file {output}; give a folder that "
                "exists, or the format tar, zip or mef"
            ) from err
        if answer is None:
            raise NotFoundError(_NO_PIXELS)
        with replacing(output) as stream:
            # A pipe knows no place in it.
            size = sum(map(stream.write, answer.chunks))
        yield f"Wrote {output}: {answer.description or f'{answer.media_type}, {size} bytes'}"


@contextmanager
def _service(
    repo: str | Path | None, hdu: str | None = None, backend: Backend = Backend.AUTO
) -> Iterator[SodaService]:
    if repo is None:
        number = int(hdu) if hdu is not None and hdu.isdecimal() else hdu
        yield SodaService(partial(_locate_files, hdu=number, backend=backend), version=__version__)
        return
    with closing(Repositories([open_repository(repo)])) as repositories:
        # There is no store here; files tell their own wavelengths and times.
        locate = cutout_locator(repositories, _no_extents, backend=backend)
        yield SodaService(locate, version=__version__)


def _no_extents(_datasets: Sequence[Dataset]) -> Mapping[str, Extent]:
    return {}


def _locate_files(
    texts: Sequence[str], _needs_extent: bool, *, hdu: int | str | None, backend: Backend
) -> list[CutoutSource | VoError]:
    return [_locate_file(text, hdu, backend) for text in texts]


def _locate_file(text: str, hdu: int | str | None, backend: Backend) -> CutoutSource | VoError:
    try:
        return CutoutSource(ResourcePath(text, forceAbsolute=True), hdu=hdu, backend=backend)
    except (NotImplementedError, ValueError):
        return UnsupportedError(
            f"{quoted(text)} is no address of a file that can be read; give a path, or an http or s3 URL"
        )


def _single(service: SodaService, pairs: Iterable[tuple[str, str]]) -> Cutout | None:
    outcomes = list(service.cut(ParamSet.from_pairs(pairs)))
    if len(outcomes) != 1:
        raise UsageError(
            f"The parameters ask for {len(outcomes)} cutouts; ask for one, or write them to files"
        )
    outcome = outcomes[0][1]
    if isinstance(outcome, VoError):
        raise outcome
    # Without other processes, cutouts are in memory.
    if outcome is not None and not isinstance(outcome, Cutout):
        raise TypeError(outcome)
    return outcome


def _write_each(service: SodaService, params: ParamSet, folder: Path) -> Iterator[str]:
    errors = []
    for product, outcome in service.cut(params):
        if outcome is None or isinstance(outcome, VoError):
            errors.append(outcome or NotFoundError(_NO_PIXELS))
            yield f"{product.describe()}: {errors[-1]}"
            continue
        path = folder / f"{product.number + 1:04d}_{outcome.filename}"
        with replacing(path) as stream:
            for chunk in outcome.chunks():
                stream.write(chunk)
        yield f"Wrote {path}: {product.describe()}, {outcome.size} bytes"
    if errors:
        raise errors[0] if len(errors) == 1 else UsageError(f"{len(errors)} cutouts could not be made")
