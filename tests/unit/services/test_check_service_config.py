"""What is wrong with a configuration of the services, told by `butler vo check`."""

from pathlib import Path

import pytest
from lsst.daf.butler import Butler, DatasetType

from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.services import check

TYPES = {
    "calexp": ("ExposureF", ("instrument", "visit", "detector")),
    "calexpBackground": ("Background", ("instrument", "visit", "detector")),
    "src": ("SourceCatalog", ("instrument", "visit", "detector")),
    "bias": ("ExposureF", ("instrument", "detector")),
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repositories") / "checked"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        for name, (storage_class, dimensions) in TYPES.items():
            kind = DatasetType(name, butler.dimensions.conform(dimensions), storage_class)
            butler.registry.registerDatasetType(kind)
    return root


def told(folder: Path, text: str) -> list[str]:
    path = folder / "service.yaml"
    path.write_text(text)
    return check(str(path)).describe().replace(str(path), "FILE").splitlines()


def links(folder: Path, repo: Path, text: str) -> list[str]:
    return told(folder, f"repositories:\n  - repo: {repo}\n    links: {text}\n")


def test_good_configuration(tmp_path, repo):
    text = "{'*': {auxiliary: [src, 'cal*'], description: 'visit {visit}, run {run}'}, bias: {psf: false}}"
    assert links(tmp_path, repo, text) == [f"{repo} opens, and has 4 dataset types", "Nothing is wrong."]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("{calexq: {}}", "", "no dataset type fits 'calexq'; did you mean 'calexp'?"),
        (
            "{'raw*': {}}",
            "",
            "no dataset type fits 'raw*'; there are bias, calexp, calexpBackground, src",
        ),
        (
            "{calexp: {calibration: [bais]}}",
            ".calexp.calibration",
            "no dataset type fits 'bais'; did you mean 'bias'?",
        ),
        (
            "{calexp: {progenitor: ['x*']}}",
            ".calexp.progenitor",
            "no dataset type fits 'x*'; there are bias, calexp, calexpBackground, src",
        ),
        (
            "{'*': {description: 'Visit {visitt}'}}",
            ".*.description",
            "{visitt} is no name of the data ID of bias, calexp, calexpBackground; did you mean 'visit'?",
        ),
        (
            "{bias: {description: 'Visit {visit}'}}",
            ".bias.description",
            "{visit} is no name of the data ID of bias; there are dataset_type, detector, instrument, run",
        ),
    ],
)
def test_names_are_compared_with_the_repository(tmp_path, repo, text, place, what):
    assert links(tmp_path, repo, text)[1:] == [f"error: repositories.0.links{place}: {what}", "1 error"]


def test_what_only_images_have_is_asked_of_no_table(tmp_path, repo):
    assert links(tmp_path, repo, "{src: {cutout: true}}")[1:] == [
        "warning: repositories.0.links.src.cutout: SourceCatalog is no image, and has none; leave it out",
        "1 warning",
    ]


def test_unknown_key_is_told_with_the_nearest(tmp_path, repo):
    (line, _) = links(tmp_path, repo, "{calexp: {previews: true}}")
    assert line == (
        "error: FILE: repositories.0.links.calexp.previews: unknown key here, did you mean 'preview' "
        "in an entry of 'links' of a repository?; see 'All keys' of the page on services"
    )


def test_repository_that_is_none(tmp_path):
    (line, count) = told(tmp_path, "repositories: [{repo: /no/such/repo}]")
    assert line.startswith("error: repositories.0.repo: There is no Butler repository '/no/such/repo'")
    assert count == "1 error"


def test_all_repositories_are_looked_at(tmp_path, repo):
    entry = f"{{repo: {repo}, links: {{calexq: {{}}}}}}"
    lines = told(tmp_path, f"repositories: [{entry}, {{repo: {repo}, label: x}}, {entry}]")
    assert [line.partition(":")[0] for line in lines].count("error") == 2
    assert lines[-1] == "2 errors"


def test_configuration_of_the_services_names_its_own_repositories(tmp_path, repo):
    path = tmp_path / "service.yaml"
    path.write_text("repositories: []")
    with pytest.raises(UsageError, match=r"--repo is for .*, not for a configuration of the services"):
        check(str(path), repo=str(repo))


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError, match="There is no configuration"):
        check(str(tmp_path / "service.yaml"))


def test_configuration_that_is_no_yaml_is_not_one_of_the_services(tmp_path):
    assert any(line.startswith("error") for line in told(tmp_path, "repositories: [ {"))
