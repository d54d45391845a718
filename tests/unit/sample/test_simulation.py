"""The simulated sky and camera: light, projections, regions, defects."""

import math
from typing import Any

import numpy as np
import pytest
from lsst.daf.butler import Butler
from lsst.sphgeom import LonLat, UnitVector3d

from lsst.dax.vo.sample import Sample
from lsst.dax.vo.sample._pixels import expose, noise_of, psf_kernel, render
from lsst.dax.vo.sample._sky import BANDS, Profile, Sources, make_sky
from lsst.dax.vo.sample._supernova import Supernova
from lsst.dax.vo.sample._survey import Survey, plan_dp02, plan_sample
from lsst.dax.vo.sample._tour_measure import find_peak
from lsst.dax.vo.sample._wcs import fit_tan_sip, outline, visit_projection

PLANS = [plan_sample(), plan_dp02()]


def projection_of(survey: Survey, visit: int, detector: int) -> Any:
    plan = survey.visits[visit]
    return visit_projection(
        survey.camera.frames(),
        detector=detector,
        visit=plan.id,
        ra_deg=plan.ra_deg,
        dec_deg=plan.dec_deg,
        rotator_deg=plan.rotator_deg,
    )


def one_source(ra_deg: float, dec_deg: float, profile: Profile) -> Sources:
    return Sources(
        ra_deg=np.array([ra_deg]),
        dec_deg=np.array([dec_deg]),
        flux_njy=np.full((1, len(BANDS)), 1e6),
        profile=np.array([int(profile)]),
        radius_arcsec=np.array([0.0 if profile is Profile.POINT else 0.8]),
        axis_ratio=np.array([0.5]),
        angle_rad=np.array([0.6]),
    )


@pytest.mark.parametrize("survey", PLANS, ids=["sample", "dp02"])
def test_each_visit_has_the_center_of_its_field_on_a_detector(survey: Survey) -> None:
    rows, columns = survey.camera.shape
    for index, visit in enumerate(survey.visits):
        field = survey.fields[visit.field]
        places = []
        for detector in survey.camera.detectors:
            to_pixel = projection_of(survey, index, detector.id).sky_to_pixel_transform
            xy = to_pixel.apply_forward(x=math.radians(field.ra_deg), y=math.radians(field.dec_deg))
            places.append(100 < xy.x < columns - 100 and 100 < xy.y < rows - 100)
        assert sum(places) == 1, visit


@pytest.mark.parametrize("survey", PLANS, ids=["sample", "dp02"])
def test_visits_have_names_of_their_own_and_all_bands(survey: Survey) -> None:
    assert len({visit.id for visit in survey.visits}) == len(survey.visits)
    assert {visit.band for visit in survey.visits} == set(BANDS)
    assert all(visit.horizontal_deg()[1] < 70 for visit in PLANS[0].visits)


def test_day_of_observation_is_part_of_the_number() -> None:
    assert all(visit.id // 100_000 == visit.day_obs for visit in PLANS[0].visits)


def test_projection_is_distorted_and_the_header_holds_it() -> None:
    survey = PLANS[0]
    exact = projection_of(survey, 0, 91)
    box = survey.camera.box
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 479, 9), np.linspace(0, 499, 9)))
    sky = exact.pixel_to_sky_transform.apply_forward(x=x, y=y)
    header = exact.as_fits_wcs(box, allow_approximation=True)
    assert exact.as_fits_wcs(box) is None
    found = header.world_to_pixel_values(np.degrees(sky.x), np.degrees(sky.y))
    assert np.hypot(found[0] - x, found[1] - y).max() < 1e-4
    header.sip = None
    header.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    found = header.wcs_world2pix(np.degrees(sky.x), np.degrees(sky.y), 0)
    assert np.hypot(found[0] - x, found[1] - y).max() > 0.3
    refit = fit_tan_sip(exact.pixel_to_sky_transform, box)
    assert refit.wcs.crval == pytest.approx(header.wcs.crval)


def test_padded_region_contains_the_pixels(small_sample: Sample, surveys: tuple[Survey, Survey]) -> None:
    survey = surveys[0]
    with Butler.from_config(str(small_sample.repositories["sample"])) as butler:
        records = butler.query_dimension_records("visit_detector_region")
    assert len(records) == 6
    for record in records:
        index = [visit.id for visit in survey.visits].index(record.visit)
        projection = projection_of(survey, index, record.detector)
        assert record.region.contains(outline(projection, survey.camera.box))
        far = projection.pixel_to_sky_transform.apply_forward(x=-60.0, y=250.0)
        assert not record.region.contains(UnitVector3d(LonLat.fromRadians(far.x, far.y)))


@pytest.mark.parametrize("profile", Profile)
def test_light_is_all_there_and_in_its_place(profile: Profile) -> None:
    survey = PLANS[0]
    projection = projection_of(survey, 0, 90)
    sky = projection.pixel_to_sky_transform.apply_forward(x=240.3, y=250.6)
    sources = one_source(math.degrees(sky.x), math.degrees(sky.y), profile)
    light = render(sources, projection, survey.camera.shape, band="r", seeing_arcsec=0.8)
    # The wings below the noise are not drawn.
    assert light.sum() == pytest.approx(1e6, rel=0.02)
    rows, columns = np.indices(light.shape)
    assert np.average(columns, weights=light) == pytest.approx(240.3, abs=0.02)
    assert np.average(rows, weights=light) == pytest.approx(250.6, abs=0.02)


def test_kernel_is_the_star() -> None:
    kernel = psf_kernel(0.8, 10)
    assert kernel.sum() == pytest.approx(1)
    assert np.array_equal(kernel, kernel.T)
    # Half of the maximum at half of the width of 4 pixels.
    assert kernel[10, 12] / kernel[10, 10] == pytest.approx(0.5, abs=0.05)


def test_noise_is_what_the_variance_tells() -> None:
    dark = np.zeros((300, 280))
    pixels = expose(dark, dark, band="i", seed=[1, 2, 3])
    good = np.isfinite(pixels.image)
    ratio = pixels.image[good] / np.sqrt(pixels.variance[good])
    assert ratio.mean() == pytest.approx(0, abs=0.02)
    assert ratio.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(~good, pixels.bad | pixels.edge)
    assert np.array_equal(good, np.isfinite(pixels.variance))
    assert pixels.bad.any()
    assert pixels.raw[pixels.cosmic_ray].mean() > pixels.raw[good].mean() + 100


def test_bad_columns_stay_where_they_are() -> None:
    dark = np.zeros((300, 280))
    first, second, other = (
        expose(dark, dark, band="i", seed=[1, *rest]) for rest in ([2, 3], [4, 3], [2, 5])
    )
    assert np.array_equal(first.bad, second.bad)
    assert not np.array_equal(first.bad, other.bad)
    assert not np.array_equal(first.raw, second.raw)


def test_bright_star_saturates_and_bleeds() -> None:
    star = np.zeros((300, 280))
    star[150, 140] = 1e7 * noise_of("i").njy_per_electron
    pixels = expose(star, np.zeros_like(star), band="i", seed=[1, 2, 3])
    rows, columns = np.nonzero(pixels.saturated)
    assert set(columns) == {140}
    assert len(rows) == pytest.approx(1e7 / 90_000, rel=0.05)


def test_sky_is_the_same_each_time_and_red_where_it_should_be() -> None:
    first, second = (
        make_sky(7, ra_deg=10, dec_deg=-20, half_width_arcsec=100, explosion_mjd=0) for _ in range(2)
    )
    assert np.array_equal(first.steady.flux_njy, second.steady.flux_njy)
    other = make_sky(8, ra_deg=10, dec_deg=-20, half_width_arcsec=100, explosion_mjd=0)
    assert not np.array_equal(first.steady.ra_deg[:10], other.steady.ra_deg[:10])
    brightest = first.steady.take(first.steady.profile == Profile.DE_VAUCOULEURS)
    flux = brightest.flux_njy[np.argmax(brightest.flux_njy[:, BANDS.index("i")])]
    assert flux[BANDS.index("g")] < 0.25 * flux[BANDS.index("i")]


def test_supernova_rises_and_fades() -> None:
    supernova = Supernova(10.0, -20.0, 100.0)
    assert supernova.flux_njy("r", 99.9) == 0
    flux = [supernova.flux_njy("r", 100 + day) for day in range(90)]
    peak = int(np.argmax(flux))
    assert 15 <= peak <= 20
    assert flux[3] < 0.1 * flux[peak]
    assert flux[60] < 0.25 * flux[peak]
    # The second maximum, in i.
    late = [supernova.flux_njy("i", 100 + day) for day in range(90)]
    assert late[44] / max(late) > 1.3 * flux[44] / max(flux)


def test_supernova_is_the_strongest_difference(small_sample: Sample, surveys: tuple[Survey, Survey]) -> None:
    survey = surveys[0]
    field = survey.fields[0]
    sky = make_sky(
        field.seed,
        ra_deg=field.ra_deg,
        dec_deg=field.dec_deg,
        half_width_arcsec=field.half_width_arcsec,
        explosion_mjd=survey.explosion_mjd,
    )
    peaks = {}
    with Butler.from_config(
        str(small_sample.repositories["sample"]), collections=survey.names.chain
    ) as butler:
        for index, visit in enumerate(survey.visits):
            for detector in survey.camera.detectors:
                to_pixel = projection_of(survey, index, detector.id).sky_to_pixel_transform
                xy = to_pixel.apply_forward(
                    x=math.radians(sky.supernova.ra_deg), y=math.radians(sky.supernova.dec_deg)
                )
                if 20 < xy.x < 460 and 20 < xy.y < 480:
                    image = butler.get(
                        "difference_image", instrument="LSSTCam", visit=visit.id, detector=detector.id
                    )
                    wcs = image.sky_projection.as_fits_wcs(image.bbox, allow_approximation=True)
                    peaks[index] = find_peak(image.image.array, image.variance.array, wcs)
    assert abs(peaks[0].significance) < 8
    assert peaks[1].significance > 20
    assert peaks[1].ra_deg == pytest.approx(sky.supernova.ra_deg, abs=0.3 / 3600)
    assert peaks[1].dec_deg == pytest.approx(sky.supernova.dec_deg, abs=0.3 / 3600)
