"""Which datasets are images, and which of them can be cut along the sky."""

from uuid import uuid4

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import AuthorizationError, NotFoundError, TransientError, UnsupportedError
from lsst.dax.vo.repo import Dataset, FileState

VISIT = {"instrument": "LSSTCam", "visit": 1, "detector": 2}
PATCH = {"skymap": "lsst_cells_v1", "tract": 4431, "patch": 17, "band": "r"}
DETECTOR = {"instrument": "LSSTCam", "detector": 2}


def make(dataset_type="calexp", storage_class="ExposureF", data_id=VISIT, name="a.fits", **fields):
    uri = ResourcePath(f"file:///repo/{name}")
    return Dataset(uuid4(), "dp1", dataset_type, data_id, "run", storage_class, uri, **fields)


@pytest.mark.parametrize(
    ("dataset_type", "storage_class", "data_id", "is_image", "is_sky_image"),
    [
        ("calexp", "ExposureF", VISIT, True, True),
        ("visit_image", "VisitImage", VISIT, True, True),
        ("difference_image", "DifferenceImage", VISIT, True, True),
        ("post_isr_image", "Exposure", {"exposure": 1, "detector": 2}, True, True),
        ("deep_coadd", "CellCoadd", PATCH, True, True),
        ("deepCoadd_calexp", "ExposureF", PATCH, True, True),
        ("deepCoadd_nImage", "ImageU", PATCH, True, True),
        ("survey_property_map", "MaskX", {"healpix9": 5}, True, True),
        ("raw", "Exposure", {"exposure": 1, "detector": 2}, True, True),
        ("raw", "ImageV2", {"exposure": 1, "detector": 2}, True, True),
        ("background", "MaskedImageV2", VISIT, True, True),
        ("bias", "ExposureF", DETECTOR, True, False),
        ("picture", "ColorImage", PATCH, True, False),
        ("visit_summary", "ExposureCatalog", VISIT, False, False),
        ("stats", "ExposureSummaryStats", VISIT, False, False),
        ("inputs", "CoaddInputs", PATCH, False, False),
        ("masks", "ObjectMaskCatalog", PATCH, False, False),
        ("object", "ArrowAstropy", PATCH, False, False),
        ("skyMap", "SkyMap", {"skymap": "lsst_cells_v1"}, False, False),
    ],
)
def test_kind(dataset_type, storage_class, data_id, is_image, is_sky_image):
    dataset = make(dataset_type, storage_class, data_id)
    assert (dataset.is_image, dataset.is_sky_image) == (is_image, is_sky_image)


@pytest.mark.parametrize(
    ("dataset_type", "storage_class", "has_planes"),
    [
        ("calexp", "ExposureF", True),
        ("visit_image", "VisitImage", True),
        ("background", "MaskedImageV2", True),
        ("deep_coadd", "CellCoadd", True),
        ("deepCoadd_nImage", "ImageU", False),
        ("survey_property_map", "MaskX", False),
        ("preview", "DecoratedImageF", False),
        # The Butler's reader adds planes to what is in the file.
        ("raw", "Exposure", False),
    ],
)
def test_files_with_mask_and_variance(dataset_type, storage_class, has_planes):
    assert make(dataset_type, storage_class).has_planes is has_planes


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.fits", "application/fits"),
        ("A.FITS", "application/fits"),
        ("a.fits.fz", "application/fits"),
        ("a.fits.gz", "application/fits"),
        ("a.parq", "application/vnd.apache.parquet"),
        ("a.json", "application/json"),
        ("a.yaml", "application/yaml"),
        ("a.png", "image/png"),
        ("a", "application/octet-stream"),
    ],
)
def test_media_type(name, media_type):
    assert make(name=name).media_type == media_type


@pytest.mark.parametrize("state", FileState)
def test_each_state_of_a_file_is_good_or_has_its_error(state):
    dataset = make(file_state=state)
    if state in (FileState.PRESENT, FileState.UNCHECKED):
        assert dataset.require_file() == dataset.uri
    else:
        errors = (NotFoundError, UnsupportedError, TransientError, AuthorizationError)
        with pytest.raises(errors, match=f"of 'dp1' is {state.value}"):
            dataset.require_file()
    if state is FileState.MEMBER:
        # It can be had, but not be cut.
        assert dataset.file_error is None
        assert dataset.require_file(or_member=True) == dataset.uri
