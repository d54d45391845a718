"""How parameters that are sent to a job change those that it has."""

from __future__ import annotations

__all__ = ["Merge", "merge_parameters"]

from collections.abc import Callable, Collection, Mapping, Sequence

type Merge = Callable[[Sequence[str], Sequence[str]], Sequence[str]]
"""From the values of a parameter that were set, and new ones, to those that count."""


def merge_parameters(
    before: Sequence[tuple[str, str]],
    added: Sequence[tuple[str, str]],
    *,
    multiple: Collection[str],
    merges: Mapping[str, Merge],
) -> list[tuple[str, str]]:
    """Add parameters to those of a job.

    Parameters
    ----------
    before
        Names in upper case, and values, that it has.
    added
        Those that are sent.
    multiple
        Parameters that are added to; of others the new values count alone.
    merges
        For parameters of which a new value may take the place of some of the
        old ones.

    Returns
    -------
    parameters : `list` [`tuple` [`str`, `str`]]
    """
    sent = {name for name, _ in added}
    merged = {
        name: merge(_values(before, name), _values(added, name))
        for name, merge in merges.items()
        if name in sent
    }
    replaced = sent.difference(multiple).union(merged)
    # One that is sent once more, with its file, is the same.
    kept = [pair for pair in before if pair[0] not in replaced and pair not in added]
    new = [pair for pair in added if pair[0] not in merged]
    return [*kept, *new, *((name, value) for name, values in merged.items() for value in values)]


def _values(pairs: Sequence[tuple[str, str]], wanted: str) -> list[str]:
    return [value for name, value in pairs if name == wanted]
