"""The links of each dataset type: which entries count, and what is refused."""

from pathlib import Path

import pytest

from lsst.dax.vo.config import LinksConfig, RepositoryConfig, load_service_config, resolve_links
from lsst.dax.vo.errors import UsageError

_PLACE = "repositories.0.links"


def test_later_entries_win_key_by_key() -> None:
    entries = {
        "*": LinksConfig(preview=False, psf=False, description="all"),
        "calexp": LinksConfig(preview=True),
        "calexp*": LinksConfig(psf=None, coderived=["src"]),
        "raw": LinksConfig(cutout=False),
    }
    found = resolve_links(entries, "calexp")
    assert (found.preview, found.psf, found.description) == (True, None, "all")
    assert (found.coderived, found.cutout) == (("src",), None)
    assert resolve_links(entries, "calexpBackground").preview is False
    assert resolve_links(entries, "Calexp").preview is False
    assert resolve_links({"Raw": LinksConfig(cutout=False)}, "raw") == LinksConfig()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("true", True),
        ("false", False),
        ("[]", False),
        ("src", ("src",)),
        ("[src, 'bias*']", ("src", "bias*")),
    ],
)
def test_types_are_yes_no_or_exactly_those(tmp_path: Path, given: str, read: object) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(f"repositories: [{{repo: r, links: {{calexp: {{coderived: {given}}}}}}}]")
    (repository,) = load_service_config(path, environment={}).repositories
    assert repository.links["calexp"].coderived == read


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (
            "{calexp: {previw: true}}",
            "calexp.previw: unknown key here, did you mean 'preview' in an entry of",
        ),
        ("{calexp: {cutout: maybe}}", "calexp.cutout: 'maybe' is not accepted; give true or false"),
        ("{calexp: {coderived: 3}}", "calexp.coderived: '3' is not accepted; give true, false, or a list"),
        ("{calexp: {calibration: [bias, 3]}}", "calexp.calibration: .*bias.* is not accepted; give true"),
        ("{calexp: {qualifier: image}}", "calexp.qualifier: 'image' is no term of .* did you mean '#image'?"),
        ("{calexp: {qualifier: '#imgae'}}", "did you mean '#image'?"),
        ("{calexp: {qualifier: '#x'}}", "give '#' and a term of it, or a URI"),
        ("{calexp: {description: 'a {visit'}}", r"has a brace without its other; write names as \{visit\}"),
        ("{'': {cutout: true}}", "at least 1 character"),
        ("[calexp]", "links: Input should be a valid"),
        ("{calexp: no links}", "calexp: Input should be a valid dictionary or instance of LinksConfig"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, links: str, message: str) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(f"repositories: [{{repo: r, links: {links}}}]")
    with pytest.raises(UsageError, match=message) as caught:
        load_service_config(path, environment={})
    assert _PLACE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_qualifier_may_be_of_another_vocabulary() -> None:
    assert LinksConfig(qualifier="https://example.org/kinds#map").qualifier == "https://example.org/kinds#map"


def test_description_is_filled_in() -> None:
    entry = LinksConfig(description="{dataset_type} of visit {visit} ({filter})")
    assert entry.describe({"dataset_type": "raw", "visit": 7}) == "raw of visit 7 ()"
    assert LinksConfig().describe({}) is None


def test_every_key_is_described_and_optional() -> None:
    assert [name for name, field in LinksConfig.model_fields.items() if not field.description] == []
    assert LinksConfig().model_fields_set == set()
    assert RepositoryConfig(repo="x").links == {}
