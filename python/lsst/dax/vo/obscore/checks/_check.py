"""All that is wrong with an exporter configuration."""

from __future__ import annotations

__all__ = ["check_config"]

from typing import TYPE_CHECKING

from ._findings import Finding
from ._meaning import check_meaning
from ._templates import check_templates
from ._yaml import salvage_config

if TYPE_CHECKING:
    from ..readers._check import Butler


def check_config(text: str, name: str, *, butler: Butler | None = None, label: str = "") -> list[Finding]:
    """Find what is wrong with an exporter configuration.

    Parameters
    ----------
    text
        YAML.
    name
        Name of the file, for the findings.
    butler
        A repository that it is for.
    label
        Label of the repository.

    Returns
    -------
    findings : `list` [`Finding`]
        All that is wrong, not only the first; nothing for a configuration
        that exports.
    """
    # Whoever does not check anything does not wait for the Butler.
    from ..readers._check import look_at_repository, look_at_universe, try_rows

    salvage = salvage_config(text, name)
    config, places = salvage.config, salvage.places
    findings = list(salvage.findings)
    if config is None:
        return findings
    facts = None if butler is None else look_at_repository(butler, config, label)
    findings += check_meaning(salvage, facts)
    findings += check_templates(config, places, look_at_universe(butler), facts)
    if butler is not None and facts is not None and all(item.severity != "error" for item in findings):
        # What is wrong is known; the rest, such as an expression that the
        # registry refuses, shows itself.
        findings += try_rows(butler, config, facts, places)
    return list(dict.fromkeys(findings))
