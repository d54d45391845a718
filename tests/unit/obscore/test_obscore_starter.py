"""Starter configurations: they load, export, say what was found, and cannot drift from the models."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, CollectionType, DatasetType

from lsst.dax.vo.errors import NotFoundError
from lsst.dax.vo.obscore import (
    ObscoreConfig,
    check_config,
    infer_obscore_config,
    iter_rows,
    load_obscore_config,
    parse_obscore_config,
    starter_config,
)
from lsst.dax.vo.obscore._config import DatasetTypeConfig, ExtraColumn
from lsst.dax.vo.obscore.starter._config import configure
from lsst.dax.vo.obscore.starter._inventory import Chain, HeldKind, Inventory
from lsst.dax.vo.obscore.starter._yaml import write_starter

# Rows, and the collections that are searched.
EXPORTS = {
    "daf_butler_ci_hsc-subset": (33, ["HSC/runs/ci_hsc/20240806T180642Z"]),
    "dax_obscore_hsc_gen3": (68, ["HSC/runs/ci_hsc", "HSC/raw/all"]),
    "testdata_decam": (2, ["DECam/raw/all"]),
    "testdata_image_cutouts_dc2": (3, ["2.2i/runs/test-med-1/w_2022_03/DM-33223/20220118T193330Z"]),
    "testdata_jointcal_cfht": (12, ["singleFrame"]),
    "testdata_jointcal_hsc": (60, ["HSC/testdata", "HSC/raw/all"]),
}
LIVE = {
    "jointcal_cfht_minimal/repo": (2, ["singleFrame"]),
    "obs_lsst/imsim": (1, ["LSSTCam-imSim/defaults"]),
    "obs_lsst/lsstCamSim": (1, ["LSSTCamSim/raw/all"]),
    "prompt_processing": (9, ["LSSTCam/templates"]),
    "testdata_image_cutouts": (3, ["2.2i/runs/test-med-1/w_2022_03/DM-33223/20220118T193330Z"]),
}
WITHOUT_IMAGES = ["daf_butler_base"]


def export(butler: Butler, config: ObscoreConfig) -> list[dict[str, Any]]:
    batches = list(iter_rows(butler, config, label="lab"))
    rows: list[dict[str, Any]] = pa.Table.from_batches(batches).to_pylist()
    return sorted(rows, key=lambda row: str(row["obs_publisher_did"]))


def check_starter(root: Path, expected: tuple[int, list[str]], folder: Path) -> None:
    path = folder / "start.yaml"
    with Butler.from_config(str(root)) as butler:
        path.write_text(starter_config(butler, "lab"))
        config = load_obscore_config(path)
        assert config == infer_obscore_config(butler, "lab")
        rows = export(butler, config)
        assert (len(rows), list(config.collections or ())) == expected
        for name in ("dataproduct_type", "calib_level", "obs_collection", "obs_id", "obs_publisher_did"):
            assert all(row[name] is not None for row in rows), name
        assert len({row["obs_publisher_did"] for row in rows}) == len(rows)
        # A repository may have coadds, and know of no instrument.
        assert all(row["facility_name"] for row in rows) or not config.facility_map
        # What we write, we find nothing wrong with, but what only the site knows.
        findings = check_config(path.read_text(), "start.yaml", butler=butler, label="lab")
    assert [item.describe() for item in findings if item.severity == "error"] == []
    told = [item.what for item in findings]
    assert told[0] == "nobody has registered the authority 'x-unregistered'"
    assert all(
        text.startswith(("no limits for", "datasets without an instrument, such as coadds"))
        for text in told[1:]
    )


@pytest.mark.parametrize("name", EXPORTS)
def test_imported_export(import_export: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    check_starter(import_export(name), EXPORTS[name], tmp_path)


@pytest.mark.parametrize("name", LIVE)
def test_live_repository(copy_live: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    check_starter(copy_live(name), LIVE[name], tmp_path)


@pytest.mark.parametrize("name", WITHOUT_IMAGES)
def test_repository_without_images(import_export: Callable[[str], Path], name: str) -> None:
    with (
        Butler.from_config(str(import_export(name))) as butler,
        pytest.raises(
            NotFoundError, match="'lab' holds no images of the sky; give an exporter configuration"
        ),
    ):
        starter_config(butler, "lab")


def test_summaries_of_visits_are_found(copy_live: Callable[[str], Path]) -> None:
    with Butler.from_config(str(copy_live("jointcal_cfht_minimal/repo"))) as butler:
        text = starter_config(butler, "lab")
    assert parse_obscore_config(text, "x").visit_summary == ("visitSummary",)
    assert "# Found: 2 visitSummary (ExposureCatalog; instrument, visit)." in text
    assert "# Found: 2 calexp (ExposureF; instrument, detector, visit)." in text.replace("  #", "#")


@pytest.fixture
def writable(odd_repository: Path, tmp_path: Path) -> Iterator[Butler]:
    root = shutil.copytree(odd_repository, tmp_path / "repo")
    with Butler.from_config(str(root), writeable=True) as butler:
        kind = DatasetType("coadd_image", butler.dimensions.conform(["patch", "band"]), "ExposureF")
        butler.registry.registerDatasetType(kind)
        for number, run in enumerate(("new", "old", "u/somebody/try")):
            butler.registry.registerRun(run)
            data_id = {"skymap": "sky", "tract": 7, "patch": number, "band": "g"}
            butler.registry.insertDatasets(kind, [data_id], run=run)
        yield butler


class TestCollections:
    def chain(self, butler: Butler, name: str, *children: str) -> None:
        butler.registry.registerCollection(name, CollectionType.CHAINED)
        butler.registry.setCollectionChain(name, children)

    def test_without_a_complete_chain_all_runs_are_named(self, writable: Butler) -> None:
        text = starter_config(writable, "lab")
        assert parse_obscore_config(text, "x").collections == ("u/somebody/try", "old", "new")
        assert "# Found: 3 RUN collections with images: u/somebody/try, old, new." in text
        assert "# Found: the chain all with 2 of them." in text

    def test_the_smallest_complete_chain_is_taken(self, writable: Butler) -> None:
        writable.registry.registerRun("empty")
        self.chain(writable, "everything", "all", "u/somebody/try", "empty")
        assert infer_obscore_config(writable, "lab").collections == ("everything",)
        self.chain(writable, "larger/but/exact", "u/somebody/try", "all")
        assert infer_obscore_config(writable, "lab").collections == ("larger/but/exact",)


def test_labels_may_hold_anything(odd: Butler, writable: Butler) -> None:
    del odd
    label = "a: {b} #'c\" \n%d"
    config = parse_obscore_config(starter_config(writable, label), "x")
    assert config == infer_obscore_config(writable, label)
    assert config.obs_collection == label


def inventory(**changes: Any) -> Inventory:
    values: dict[str, Any] = {
        "label": "lab",
        "images": (
            HeldKind("calexp", "ExposureF", ("band", "visit", "detector"), ("visit", "detector"), 3, 12345),
        ),
        "summaries": (),
        "instruments": ("Cam",),
        "bands": frozenset("gr"),
        "runs": ("run",),
        "chains": (),
    }
    return Inventory(**{**values, **changes})


class TestText:
    def test_every_key_is_explained_by_its_own_words(self) -> None:
        text = " ".join(re.sub(r"^ *#", "", line) for line in write_starter(inventory()).splitlines())
        text = " ".join(text.split())
        foreign = {"collection_type", "spatial_plugins"}
        for model in (ObscoreConfig, DatasetTypeConfig, ExtraColumn):
            for name, field in model.model_fields.items():
                if model is ObscoreConfig and name in foreign:
                    continue
                assert field.description is not None
                meaning = " ".join(field.description.replace("``", "").split())
                assert meaning in text, name
                assert re.search(rf"\b{name}: ", text), name

    def test_keys_that_are_commented_out_are_defaults(self) -> None:
        lines = write_starter(inventory()).splitlines()
        start = lines.index("# Further keys, with their defaults:")
        keys = [line[2:] for line in lines[start:] if re.match(r"# [a-z_]+: ", line)]
        assert len(keys) > 5
        values = yaml.safe_load("\n".join(keys))
        assert ObscoreConfig.model_validate(values) == ObscoreConfig()

    def test_what_was_found_is_told(self) -> None:
        many = tuple(Chain(f"chain{number}", 1, 2) for number in range(20))
        text = write_starter(
            inventory(
                instruments=("Cam", "HSC"),
                bands=frozenset({"g", "N921"}),
                runs=tuple(f"run{number}" for number in range(30)),
                chains=many,
            )
        )
        assert "# Found: 12,345 calexp (ExposureF; visit, detector) in 3 runs." in text
        assert "# Found: the instruments Cam, HSC." in text
        assert "run11 and 18 more." in text
        assert "# Found: 8 further chains." in text
        assert "# Found: no limits for N921: em_min and em_max are empty there." in text
        assert "# Found: several instruments; name the one that the coadds are of." in text
        assert parse_obscore_config(text, "x") == configure(
            inventory(
                instruments=("Cam", "HSC"),
                bands=frozenset({"g", "N921"}),
                runs=tuple(f"run{number}" for number in range(30)),
                chains=many,
            )
        )

    def test_what_a_site_should_change_is_told(self) -> None:
        text = write_starter(inventory())
        assert "Change the authority, x-unregistered" in text
        found = re.search(r'#   datalink_url_fmt: "(.*)"', text)
        assert found is not None
        assert found[1].endswith("links?ID=ivo%3A%2F%2Fx-unregistered%2Flab%3Frepo%3Dlab%26id%3D{id}")

    def test_no_line_is_long(self) -> None:
        lines = write_starter(inventory(runs=tuple("r" * 80 + str(n) for n in range(9)))).splitlines()
        assert [line for line in lines if len(line) > 110 and "datalink_url_fmt" not in line] == []

    def test_no_instrument_at_all(self) -> None:
        text = write_starter(inventory(instruments=(), bands=frozenset()))
        assert "# Found: no instruments." in text
        assert parse_obscore_config(text, "x").facility_name is None
