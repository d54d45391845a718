"""A configuration to start from: YAML with comments.

What a comment says of a key is the key's own description, so that the two
cannot drift apart; what was found, and what a site may want to change, stands
beside it.
"""

from __future__ import annotations

__all__ = ["starter_config", "write_starter"]

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pydantic
import yaml

from .._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from ._config import configure
from ._inventory import HeldKind, Inventory

if TYPE_CHECKING:
    from ..readers._inspect import Butler

_WIDTH = 100
_MOST_NAMED = 12
# Keys of daf_butler's own live table, accepted from its files.
_FOREIGN = frozenset({"collection_type", "spatial_plugins"})
_ORDER = (
    "obs_collection",
    "facility_name",
    "facility_map",
    "fallback_instrument",
    "obs_publisher_did_fmt",
    "collections",
    "dataset_types",
    "extra_columns",
    "spectral_ranges",
    "visit_summary",
)
"""The keys that a site looks at first; the others follow, commented out."""

_COMPACT = frozenset({"extra_columns", "spectral_ranges"})
"""Keys with many entries, one line each."""

_CHANGE = {
    "obs_collection": "Change it to the name by which astronomers know the release, as in LSST.DP1.",
    "facility_name": "Write it as other archives do, as in Rubin:Simonyi.",
    "obs_publisher_did_fmt": "Change the authority, x-unregistered, to the one that is registered for you; "
    "keep {id}. An identifier is for good: settle it before the table is published.",
    "collections": "Name what belongs to the release, and no more; of datasets with the same type and "
    "data ID the first collection's counts.",
    "dataset_types": "Leave out what is not for the public, and look at each calib_level. With s_xel, the "
    "columns and rows of images that all have as many can be told.",
    "spectral_ranges": "Put the limits of your own filters here, by physical filter or by band.",
}
"""What a site should think about, key by key."""


def starter_config(butler: Butler, label: str) -> str:
    """Look at a repository and write a configuration to start from.

    Parameters
    ----------
    butler
        The repository.
    label
        Its label.

    Returns
    -------
    text : `str`
        YAML with comments; what it says is what `infer_obscore_config` says.

    Raises
    ------
    NotFoundError
        Raised if the repository holds no images of the sky.
    """
    from ..readers._inspect import take_inventory

    return write_starter(take_inventory(butler, label, count=True))


def write_starter(inventory: Inventory) -> str:
    """Write a configuration to start from.

    Parameters
    ----------
    inventory
        What the repository holds.

    Returns
    -------
    text : `str`
        YAML with comments.
    """
    config = configure(inventory)
    values = config.model_dump(mode="json", exclude_defaults=True)
    found = _findings(inventory, config)
    blocks = [_head(inventory)]
    for name in (*_ORDER, *(key for key in values if key not in _ORDER)):
        lines = [*_comment(_meaning(ObscoreConfig, name))]
        if name == "dataset_types":
            lines += _legend(DatasetTypeConfig)
        if name == "extra_columns":
            lines += _legend(ExtraColumn)
        lines += [line for text in found.get(name, ()) for line in _comment(f"Found: {text}")]
        if name in _CHANGE:
            lines += _comment(_CHANGE[name])
        if name == "dataset_types":
            lines += _datalink(config.obs_publisher_did_fmt or "{id}")
        lines += _dataset_types(inventory, values) if name == "dataset_types" else _value(name, values)
        blocks.append("\n".join(lines))
    blocks.append("\n".join(_others(values)))
    return "\n\n".join(blocks) + "\n"


def _head(inventory: Inventory) -> str:
    return "\n".join(
        [
            *_comment(
                f"ObsCore of the Butler repository {inventory.label!r}: a configuration to start from. It "
                "works as it stands; what a site should change is told at each key. Then look for mistakes, "
                "and export:"
            ),
            "#",
            "#   butler vo check THIS_FILE --repo REPO",
            "#   butler vo export REPO STORE --config THIS_FILE",
            "#",
            *_comment(
                "Format strings are Python's. They may name dimensions ({visit}), dimension records "
                "({records[visit].name}), {id}, {run}, {dataset_type}, and the constants of the dataset type."
            ),
        ]
    )


def _findings(inventory: Inventory, config: ObscoreConfig) -> dict[str, list[str]]:
    found = {
        "facility_map": [f"the instruments {_names(inventory.instruments)}."],
        "collections": [*_tell_collections(inventory)],
        "spectral_ranges": [f"the bands {_names(sorted(inventory.bands))}."],
    }
    if unknown := sorted(inventory.bands - config.spectral_ranges.keys()):
        found["spectral_ranges"].append(
            f"no limits for {_names(unknown)}: em_min and em_max are empty there."
        )
    if len(inventory.instruments) > 1:
        found["fallback_instrument"] = ["several instruments; name the one that the coadds are of."]
    found["visit_summary"] = [_tell(kind) for kind in inventory.summaries] or ["none."]
    if not inventory.instruments:
        found["facility_map"] = ["no instruments."]
    return found


def _tell_collections(inventory: Inventory) -> Iterator[str]:
    count = len(inventory.runs)
    yield f"{count} RUN collection{'s'[: count != 1]} with images: {_names(inventory.runs)}."
    for chain in inventory.chains[:_MOST_NAMED]:
        yield f"the chain {chain.name} with {chain.runs} of them."
    if len(inventory.chains) > _MOST_NAMED:
        yield f"{len(inventory.chains) - _MOST_NAMED} further chains."


def _tell(kind: HeldKind) -> str:
    count = "" if kind.datasets is None else f"{kind.datasets:,} "
    where = "" if kind.runs == 1 else f" in {kind.runs} runs"
    return f"{count}{kind.name} ({kind.storage_class}; {', '.join(kind.required)}){where}."


def _names(names: Any) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown


def _dataset_types(inventory: Inventory, values: Mapping[str, Any]) -> Iterator[str]:
    kinds = {kind.name: kind for kind in inventory.images}
    yield "dataset_types:"
    for name, content in values["dataset_types"].items():
        yield from (f"  {line}" for line in _comment(f"Found: {_tell(kinds[name])}"))
        yield from (f"  {line}" for line in _dump({name: content}))


def _datalink(identifier: str) -> Iterator[str]:
    encoded = "{id}".join(quote(part, safe="") for part in identifier.split("{id}"))
    yield from _comment(
        "A service shows its own address as access_url. Where the table is read without one, give in each "
        "dataset type the address of a DataLink service, with the identifier above percent-encoded:"
    )
    yield f'#   datalink_url_fmt: "https://example.org/api/datalink/links?ID={encoded}"'


def _value(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    if name in values:
        yield from _dump({name: values[name]}, compact=name in _COMPACT)
    else:
        yield f"# {name}: {_default(ObscoreConfig, name)}"


def _others(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _comment("Further keys, with their defaults:")
    for name in ObscoreConfig.model_fields:
        if name in values or name in _ORDER or name in _FOREIGN:
            continue
        yield "#"
        yield from _comment(_meaning(ObscoreConfig, name))
        yield f"# {name}: {_default(ObscoreConfig, name)}"


def _legend(model: type[pydantic.BaseModel]) -> Iterator[str]:
    for name in model.model_fields:
        lines = textwrap.wrap(f"{name}: {_meaning(model, name)}", _WIDTH - 6, subsequent_indent="  ")
        yield from (f"#   {line}" for line in lines)


def _meaning(model: type[pydantic.BaseModel], name: str) -> str:
    text = " ".join((model.model_fields[name].description or "").split())
    return text.replace("``", "")


def _default(model: type[pydantic.BaseModel], name: str) -> str:
    value = model.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, pydantic.BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, tuple):
        value = list(value)
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()


def _dump(content: Mapping[str, Any], *, compact: bool = False) -> list[str]:
    text: str = yaml.safe_dump(
        dict(content),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None if compact else False,
        width=_WIDTH,
    )
    return text.splitlines()


def _comment(text: str) -> list[str]:
    return [
        f"# {line}"
        for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    ]
