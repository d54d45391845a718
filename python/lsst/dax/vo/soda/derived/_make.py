"""Making what is asked for of one file."""

from __future__ import annotations

__all__ = ["make_derived"]

from lsst.resources import ResourcePath

from ...errors import UnsupportedError
from .._box import PixelBox
from .._derived import Derived, Facts, write_facts
from .._provenance import Card, Provenance, dataset_cards
from .._request import Detail
from .._result import Cutout
from ..backends import open_file, open_image_in
from ..backends._fits_file import FitsFile
from ..backends.psf import compute_psf, find_psf
from ._legend import find_mask_planes, write_legend
from ._metadata import write_metadata
from ._preview import LONGEST, draw_preview
from ._psf import write_psf


def make_derived(
    uri: ResourcePath,
    derived: Derived,
    *,
    key: str | None = None,
    provenance: Provenance | None = None,
    is_raw: bool = False,
) -> Cutout:
    """Make something of an image.

    Parameters
    ----------
    uri
        Its file.
    derived
        What to make.
    key
        What names the content of the file for good, such as the id of its
        dataset.
    provenance
        Which dataset it is; its time is not told, so that the same is made
        each time.
    is_raw
        Whether the file is as an instrument wrote it.

    Returns
    -------
    cutout : `Cutout`
        The file that was made, and the pixels of the image.

    Raises
    ------
    VoError
        Raised if it cannot be made.
    """
    cards: tuple[Card, ...] = ()
    title = ""
    if provenance is not None:
        cards = (*dataset_cards(provenance), ("CUTVERS", provenance.version, "lsst.dax.vo software version"))
        names = (str(value) for value in provenance.data_id.values())
        title = " ".join(filter(None, (provenance.dataset_type, *names)))
    with open_file(uri, key) as file, open_image_in(uri, file, is_raw=is_raw) as image:
        match derived:
            case Derived.PREVIEW | Derived.THUMBNAIL:
                content = draw_preview(image, LONGEST[derived], title=title, cards=cards)
            case Derived.PSF:
                content = write_psf(file, image, cards)
            case Derived.MASK_PLANES:
                content = write_legend(file)
            case Derived.METADATA:
                content = write_metadata(file, image)
            case Derived.FACTS:
                content = write_facts(Facts(bool(find_mask_planes(file)), _computable_psf(file, image.box)))
        box = image.box
    return Cutout((content,), derived.media_type, derived.value, box, Detail.IMAGE)


def _computable_psf(file: FitsFile, box: PixelBox) -> str | None:
    kind = find_psf(file)
    if kind is None or kind.obstacle:
        return None
    try:
        # The proof of the pudding: a library that is too new fails only here.
        compute_psf(file, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    except UnsupportedError:
        return None
    return kind.name
