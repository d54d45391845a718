"""Trees of `lsst.images`: where the pixels are, and the tree of a cutout.

The library cuts by reading a whole object, with its PSF, detector and
calibrations, and writing it again.  Of all that, a box changes only where the
planes begin and how large they are, and the region in which a visit image is
valid; so these places in its JSON are changed here, and everything else
stays as it is, whether or not the packages that it needs are installed.

That holds for schemas of these names and versions alone; others are left to
the library.
"""

from __future__ import annotations

__all__ = [
    "CHANNELS",
    "Plane",
    "UnknownTreeError",
    "add_plane",
    "cut_tree",
    "find_planes",
    "parse_schema",
]

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....errors import UnsupportedError
from ..._box import PixelBox
from ..._request import Detail
from ._archive import Key, parse_reference

type Tree = dict[str, Any]

_SCHEMAS_URL = "https://images.lsst.io/schemas/"

# Schemas whose parts, but for those that are changed here, do not depend on
# the box (lsst-images 30.2026.4300: what `deserialize` does with `bbox`).
_VERSIONS = {
    "image": ("1.0.0",),
    "color_image": ("1.0.0.dev0",),
    "masked_image": ("1.0.0",),
    "visit_image": ("1.0.0", "1.1.0"),
    "difference_image": ("1.0.0", "1.1.0", "1.2.0"),
    "cell_coadd": ("1.0.0",),
}
_MASKED_IMAGE: Tree = {
    "schema_version": "1.0.0",
    "min_read_version": 1,
    "schema_url": f"{_SCHEMAS_URL}masked_image-1.0.0",
}
CHANNELS = ("red", "green", "blue")
"""Planes of a color image."""

_PLANES = ("image", "mask", "variance")
_SCHEMA = re.compile(re.escape(_SCHEMAS_URL) + r"([a-z0-9_]+)-([0-9A-Za-z.+]+)")

# The FITS masks of the library are signed: the sign is no plane.
_PLANES_OF_A_MASK = 31


class UnknownTreeError(Exception):
    """Raised for a tree that is not known here: the library may know it."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Pixels to which a tree refers."""

    key: Key
    """EXTNAME and EXTVER of their HDU."""

    name: str
    """Their role: ``image``, ``mask``, ``variance``, or another."""


def parse_schema(url: str) -> tuple[str, str] | None:
    """Parse the address of a schema.

    Parameters
    ----------
    url
        As in the card DATAMODL.

    Returns
    -------
    schema : `tuple` [`str`, `str`] or `None`
        Its name and version; `None` if it is none of the library's.
    """
    match = _SCHEMA.fullmatch(url)
    return None if match is None else (match[1], match[2])


def find_planes(tree: Tree, schema: tuple[str, str] | None) -> tuple[PixelBox, tuple[Plane, ...]]:
    """Find the pixels of an object.

    Parameters
    ----------
    tree
        Its tree.
    schema
        Name and version of its schema.

    Returns
    -------
    box : `PixelBox`
        All its pixels.
    planes : `tuple` [`Plane`, ...]
        Planes of the whole object; that of the image, or of the first
        channel, is the first.

    Raises
    ------
    UnknownTreeError
        Raised if the tree is not known, or its parts do not fit together.
    """
    if schema is None or schema[1] not in _VERSIONS.get(schema[0], ()):
        raise UnknownTreeError(f"schema {schema}")
    if tree.get("schema_url") != f"{_SCHEMAS_URL}{schema[0]}-{schema[1]}" or tree.get("indirect"):
        raise UnknownTreeError("not a tree of its schema")
    found = list(_nodes(tree, schema[0]))
    boxes = {_box_of(node, name) for name, node in found}
    if len(boxes) != 1:
        raise UnknownTreeError("planes of several sizes")
    planes = [Plane(_key_of(one), name) for name, node in found for one in _references(node, name)]
    if len({plane.key for plane in planes}) != len(planes):
        raise UnknownTreeError("planes that are one")
    if not _has_mappings(tree.get("sky_projection")):
        raise UnknownTreeError("a projection with mappings elsewhere")
    return boxes.pop(), tuple(planes)


def cut_tree(
    tree: Tree, schema: str, box: PixelBox, detail: Detail, file_name: str
) -> tuple[Tree, tuple[Plane, ...]]:
    """Make the tree of a cutout.

    Parameters
    ----------
    tree
        A tree that `find_planes` accepted; it stays as it is.
    schema
        Name of its schema.
    box
        Pixels of the cutout.
    detail
        How much of the object the cutout holds.
    file_name
        The file, for messages.

    Returns
    -------
    tree : `dict`
        A new tree.
    planes : `tuple` [`Plane`, ...]
        The planes to which it refers.

    Raises
    ------
    UnsupportedError
        Raised if the object has no mask and variance.
    """
    names = [name for name, _ in _nodes(tree, schema)]
    if detail is Detail.MASKED_IMAGE and "mask" not in names:
        raise UnsupportedError(f"The file {file_name!r} has no mask and variance; send CUTOUTDETAIL=Image")
    shared: Tree = {key: tree[key] for key in ("butler_info", "sky_projection") if key in tree}
    if schema == "image" or schema == "color_image" or detail is Detail.EXPOSURE:
        new = dict(tree)
    elif detail is Detail.MASKED_IMAGE:
        kept = {key: tree[key] for key in ("metadata", *_PLANES) if key in tree}
        new, schema = {**_MASKED_IMAGE, **kept, **shared}, "masked_image"
    else:
        # What the planes share is stored once, beside them.
        new, schema = {**shared, **tree["image"]}, "image"
    return new, _move(new, schema, box)


def add_plane(tree: Tree, name: str, description: str) -> tuple[Key, int]:
    """Add a mask plane to the tree of a cutout, unless it has it.

    Parameters
    ----------
    tree
        A tree with a mask, that `cut_tree` made; it is changed.
    name, description
        The mask plane.

    Returns
    -------
    key : `tuple` [`str`, `int`]
        The HDU that has its bit.
    bit : `int`
        The bit, from 0.
    """
    mask = dict(tree["mask"])
    tree["mask"] = mask
    # Places that are kept free have no bit in FITS.
    names = [plane["name"] for plane in mask["planes"] if plane is not None]
    if name not in names:
        names.append(name)
        mask["planes"] = [*mask["planes"], {"name": name, "description": description}]
    number, bit = divmod(names.index(name), _PLANES_OF_A_MASK)
    if number == len(mask["data"]):
        last = _key_of(mask["data"][-1])
        mask["data"] = [*mask["data"], {**mask["data"][-1], "source": f"fits:{last[0]},{last[1] + 1}"}]
    return _key_of(mask["data"][number]), bit


def _nodes(tree: Tree, schema: str) -> Iterator[tuple[str, Tree]]:
    # The trees of planes within a tree, by role.
    match schema:
        case "image":
            yield "image", tree
        case "color_image":
            for name in CHANNELS:
                yield name, tree.get(name, {})
        case _:
            for name in _PLANES:
                yield name, tree.get(name, {})
    if schema == "cell_coadd":
        fractions, noise = tree.get("mask_fractions"), tree.get("noise_realizations")
        if not isinstance(fractions, dict) or not isinstance(noise, list):
            raise UnknownTreeError("a coadd without fractions and noise")
        for name, node in fractions.items():
            yield f"mask_fractions/{name}", node
        for number, node in enumerate(noise):
            yield f"noise_realizations/{number}", node


def _has_mappings(projection: Any) -> bool:
    # Mappings may be shared, in another text of the file.
    if projection is None:
        return True
    if not isinstance(projection, dict):
        return False
    transforms = [projection.get("pixel_to_sky"), projection.get("fits_approximation", {"mappings": []})]
    mappings = [one.get("mappings") if isinstance(one, dict) else None for one in transforms]
    return all(
        isinstance(found, list) and all(isinstance(one, dict) and "ast" in one for one in found)
        for found in mappings
    )


def _box_of(node: Tree, name: str) -> PixelBox:
    wanted = "mask" if name == "mask" else "image"
    if not isinstance(node, dict) or node.get("schema_url") != f"{_SCHEMAS_URL}{wanted}-1.0.0":
        raise UnknownTreeError(f"{name} is no {wanted}")
    shapes = [one.get("shape") for one in _references(node, name)]
    match node.get("yx0"), shapes:
        case [int(y0), int(x0)], [[int(height), int(width)], *rest] if (
            height > 0 and width > 0 and all(shape == [height, width] for shape in rest)
        ):
            return PixelBox(x0, x0 + width - 1, y0, y0 + height - 1)
    raise UnknownTreeError(f"{name} has no box")


def _references(node: Tree, name: str) -> list[Tree]:
    data = node.get("data")
    if name == "mask":
        found = data if isinstance(data, list) else []
        planes = node.get("planes")
        if not isinstance(planes, list) or not all(
            plane is None or (isinstance(plane, dict) and isinstance(plane.get("name"), str))
            for plane in planes
        ):
            raise UnknownTreeError("a mask without planes")
        count = sum(plane is not None for plane in planes)
        if len(found) != max(1, -(-count // _PLANES_OF_A_MASK)):
            raise UnknownTreeError("a mask with more arrays, or fewer, than its planes need")
    elif isinstance(data, dict):
        found = [data["value"] if "unit" in data and isinstance(data.get("value"), dict) else data]
    else:
        found = []
    if not found or not all(isinstance(one, dict) for one in found):
        raise UnknownTreeError(f"{name} has no pixels")
    return found


def _key_of(reference: Tree) -> Key:
    key = parse_reference(reference.get("source"))
    if key is None or reference.get("byteorder", "big") != "big":
        raise UnknownTreeError("pixels that are in no HDU")
    return key


def _move(tree: Tree, schema: str, box: PixelBox) -> tuple[Plane, ...]:
    # Changes a tree whose own level is a copy.
    planes: list[Plane] = []
    for name, node in list(_nodes(tree, schema)):
        moved = {**node, "yx0": [box.y0, box.x0], "data": _resized(node["data"], box)}
        planes.extend(Plane(_key_of(one), name) for one in _references(moved, name))
        if node is tree:
            tree.update(moved)
        elif name in tree:
            tree[name] = moved
        else:
            group, _, member = name.partition("/")
            copy = tree[group].copy()
            copy[member if isinstance(copy, dict) else int(member)] = moved
            tree[group] = copy
    return tuple(planes)


def _resized(data: Any, box: PixelBox) -> Any:
    if isinstance(data, list):
        return [_resized(one, box) for one in data]
    if "value" in data:
        return {**data, "value": _resized(data["value"], box)}
    return {**data, "shape": [box.height, box.width]}
