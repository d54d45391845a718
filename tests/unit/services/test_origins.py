"""What answers tell of their origin, put together from configurations."""

from pathlib import Path

import pytest

from lsst.dax.vo.config import ServiceConfig, load_service_config
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.services._origin import build_origins

CONFIG = """
repositories:
  - repo: /a
    origin:
      citation: doi:10.1000/new
      creator: [A. Nobody, B. Nobody]
      rights_uri: https://spdx.org/licenses/CC-BY-4.0.html
      publication_date: 2025-06-30
  - repo: /b
service_ivoids:
  sia: ivo://example.org/sia
contact: mailto:vo@example.org
"""
EXPORTED = """
origin:
  publisher: Example Data Center
  citation: doi:10.1000/old
  reference_url: https://example.org/a
  article: 2025A&A...1....1N
  title: Images
"""


def load(folder: Path, text: str) -> ServiceConfig:
    path = folder / "service.yaml"
    path.write_text(text)
    return load_service_config(path, environment={})


def test_configuration_of_the_services_wins_over_the_exporters(tmp_path: Path) -> None:
    config = load(tmp_path, CONFIG)
    first, second = config.repositories
    origins = build_origins(
        config, [("a", first, {"obscore_config": EXPORTED}), ("b", second, {"obscore_config": ""})]
    )
    assert {name: origin.service_ivoid for name, origin in origins.items()} == {
        "tap": "",
        "sia": "ivo://example.org/sia",
        "datalink": "",
    }
    for origin in origins.values():
        assert (origin.publisher, origin.contact) == ("Example Data Center", "mailto:vo@example.org")
        assert origin.server_software.startswith("lsst-dax-vo/")
        assert origin.datasets == {
            "a": (
                ("citation", "doi:10.1000/new"),
                ("reference_url", "https://example.org/a"),
                ("rights_uri", "https://spdx.org/licenses/CC-BY-4.0.html"),
                ("creator", "A. Nobody"),
                ("creator", "B. Nobody"),
                ("article", "2025A&A...1....1N"),
                ("publication_date", "2025-06-30"),
            ),
            "b": (),
        }


def test_named_publisher_is_the_publisher(tmp_path: Path) -> None:
    config = load(tmp_path, f"{CONFIG}publisher: Another\n")
    (first, _) = config.repositories
    origins = build_origins(config, [("a", first, {"obscore_config": EXPORTED})])
    assert origins["tap"].publisher == "Another"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("service_ivoids: {tap: https://example.org}", "service_ivoids.tap: String should match pattern"),
        ("service_ivoids: {soda: 'ivo://example.org/x'}", "service_ivoids.soda"),
        (
            "repositories: [{repo: a, origin: {creatr: x}}]",
            "repositories.0.origin.creatr: unknown key here, did you mean 'creator' in 'origin' of a",
        ),
        (
            "repositories: [{repo: a, origin: {publication_date: soon}}]",
            "origin.publication_date: Input should be",
        ),
    ],
)
def test_what_is_not_accepted(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
