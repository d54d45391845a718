"""Two figures of the tour: an object in all bands, and in all visits."""

__all__ = ["LightCurve", "Stamp", "draw_bands", "draw_visits"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.transforms import Affine2D
from PIL import Image

_BACKGROUND = "#121212"
_TEXT = "#d8dee9"
_DIM = "#8b95a5"
_MARK = "#ffd166"
_BAND_COLORS = {
    "u": "#8f7bff",
    "g": "#4cc9f0",
    "r": "#7ae582",
    "i": "#ffd166",
    "z": "#ff8c61",
    "y": "#f25f8e",
}
"""One color for each band, blue to red, readable on the dark background."""

_WEIGHTS = {"i": 0.75, "r": 1.0, "g": 1.4}
"""Fluxes in the color image: how a band is weighted."""

_LEVELS = 40
"""Gray levels of a stamp: noise does not compress, and 40 levels make a third
of the file that 256 make, with no difference for the eye."""

_SOFTENING = 4.0
"""Noise levels at which the asinh stretch turns from linear to logarithmic."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A small image of one object, as the service cut it."""

    pixels: np.ndarray
    """Values of one unit in all stamps, shape ``(ny, nx)``."""

    sky: np.ndarray
    """Affine matrix, shape ``(2, 3)``: from pixel ``(x, y, 1)`` to the offset
    from the object, arcseconds east and north."""

    band: str
    """Band, one letter."""

    title: str
    """What stands above the stamp."""

    note: str
    """What stands below: seeing, time."""

    @property
    def noise(self) -> float:
        """Robust noise of the background, in the unit of the pixels."""
        values = self.pixels[np.isfinite(self.pixels)]
        lower = values[values <= np.median(values)]
        return float(1.4826 * np.median(np.median(values) - lower)) or 1.0


@dataclass(frozen=True, slots=True)
class LightCurve:
    """Fluxes of one object, one for each visit."""

    time_mjd: np.ndarray
    """Middle of each visit, UTC, MJD."""

    flux: np.ndarray
    """Flux in the aperture."""

    flux_error: np.ndarray
    """Its standard deviation, from the variance planes."""

    band: np.ndarray
    """Band of each visit."""

    unit: str
    """Unit of the fluxes."""


def draw_bands(stamps: Sequence[Stamp], path: Path, *, heading: str, radius_arcsec: float) -> None:
    """Draw an object in all bands, and in color.

    Parameters
    ----------
    stamps
        One for each band, blue to red; g, r and i make the color image.
    path
        PNG file to write.
    heading
        What the figure shows.
    radius_arcsec
        Half width of each picture.
    """
    columns = math.ceil(len(stamps) / 2)
    figure = Figure(figsize=(3.05 * (columns + 2.05), 6.7), facecolor=_BACKGROUND)
    grid = GridSpec(
        2, columns + 2, figure, left=0.012, right=0.988, top=0.845, bottom=0.045, wspace=0.05, hspace=0.19
    )
    color = figure.add_subplot(grid[:, :2])
    _draw_color(color, stamps, radius_arcsec)
    for index, stamp in enumerate(stamps):
        axes = figure.add_subplot(grid[index // columns, 2 + index % columns])
        _draw_gray(axes, stamp, radius_arcsec, noise=stamp.noise, peak=float(np.nanmax(stamp.pixels)))
    _write_heading(figure, heading)
    _save(figure, path)


def draw_visits(
    stamps: Sequence[Stamp], curve: LightCurve, path: Path, *, heading: str, radius_arcsec: float
) -> None:
    """Draw an object in all visits, and its light curve.

    Parameters
    ----------
    stamps
        One for each visit, in the order of time; stretched alike within a
        band, so that a change of flux is a change of gray.
    curve
        The fluxes.
    path
        PNG file to write.
    heading
        What the figure shows.
    radius_arcsec
        Half width of each picture.
    """
    columns = min(10, max(4, math.ceil(math.sqrt(1.7 * len(stamps)))))
    rows = math.ceil(len(stamps) / columns)
    height = 1.62 * rows + 3.58
    figure = Figure(figsize=(1.42 * columns + 0.3, height), facecolor=_BACKGROUND)
    split = 3.1 / height
    grid = GridSpec(
        rows,
        columns,
        figure,
        left=0.012,
        right=0.988,
        top=1 - 0.8 / height,
        bottom=split,
        wspace=0.06,
        hspace=0.34,
    )
    scales = {
        band: (
            float(np.median([stamp.noise for stamp in stamps if stamp.band == band])),
            max(float(np.nanmax(stamp.pixels)) for stamp in stamps if stamp.band == band),
        )
        for band in {stamp.band for stamp in stamps}
    }
    for index, stamp in enumerate(stamps):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        noise, peak = scales[stamp.band]
        _draw_gray(axes, stamp, radius_arcsec, noise=noise, peak=peak, small=True, bar=index == 0)
    axes = figure.add_axes((0.075, 0.62 / height, 0.9, split - 1.0 / height))
    _draw_curve(axes, curve)
    _write_heading(figure, heading)
    _save(figure, path)


def _stretch(pixels: np.ndarray, *, noise: float, peak: float) -> np.ndarray:
    scaled = np.arcsinh((np.nan_to_num(pixels) + 1.5 * noise) / (_SOFTENING * noise))
    top = np.arcsinh((0.6 * peak + 1.5 * noise) / (_SOFTENING * noise))
    stretched: np.ndarray = np.clip(scaled / top, 0, 1)
    return stretched


def _draw_gray(
    axes: Axes,
    stamp: Stamp,
    radius_arcsec: float,
    *,
    noise: float,
    peak: float,
    small: bool = False,
    bar: bool = True,
) -> None:
    shown = _stretch(stamp.pixels, noise=noise, peak=peak)
    _place(axes, shown, stamp, radius_arcsec, cmap="gray", vmin=0, vmax=1)
    size = 6.6 if small else 10.5
    axes.set_title(
        stamp.title, color=_BAND_COLORS.get(stamp.band, _TEXT), fontsize=size, pad=2.5, fontweight="bold"
    )
    axes.set_xlabel(stamp.note, color=_DIM, fontsize=0.92 * size, labelpad=2.5)
    if bar:
        _draw_bar(axes, radius_arcsec, size)


def _draw_color(axes: Axes, stamps: Sequence[Stamp], radius_arcsec: float) -> None:
    # One stretch of the mean and the ratios kept: colors stay true from the
    # sky to the centers of stars (Lupton et al. 2004, PASP 116, 133).
    planes = {stamp.band: stamp for stamp in stamps}
    chosen = [planes[band] for band in ("i", "r", "g") if band in planes]
    if len(chosen) < 3:
        chosen = [stamps[-1], stamps[len(stamps) // 2], stamps[0]]
    # With these weights a spiral galaxy is white, and an elliptical orange.
    unit = chosen[1].noise
    scaled = np.stack(
        [np.nan_to_num(stamp.pixels) * _WEIGHTS.get(stamp.band, 1.0) / unit for stamp in chosen], axis=-1
    )
    mean = np.maximum(scaled.mean(axis=-1), 1e-6)
    bright = np.arcsinh(np.maximum(scaled.mean(axis=-1), 0) / 5) / np.arcsinh(
        np.nanpercentile(mean, 99.9) / 5
    )
    colored = np.clip(scaled, 0, None) * (bright / mean)[..., np.newaxis]
    colored /= np.maximum(colored.max(axis=-1, keepdims=True), 1)
    _place(axes, np.clip(colored, 0, 1), chosen[0], radius_arcsec)
    names = " ".join(stamp.band for stamp in chosen)
    axes.set_title(f"{names} as red, green, blue", color=_TEXT, fontsize=10.5, pad=4, fontweight="bold")
    _draw_bar(axes, radius_arcsec, 12)
    _draw_compass(axes, radius_arcsec)


def _place(axes: Axes, shown: np.ndarray, stamp: Stamp, radius_arcsec: float, **options: Any) -> None:
    """Show pixels where they are on the sky, north up, not resampled."""
    height, width = shown.shape[:2]
    axes.set_facecolor("black")
    axes.imshow(
        np.round(shown * _LEVELS) / _LEVELS,
        origin="lower",
        interpolation="nearest",
        extent=(-0.5, width - 0.5, -0.5, height - 0.5),
        transform=Affine2D(np.vstack([stamp.sky, [0, 0, 1]])) + axes.transData,
        **options,
    )
    # East is left, as on the sky.
    axes.set(xlim=(radius_arcsec, -radius_arcsec), ylim=(-radius_arcsec, radius_arcsec), xticks=[], yticks=[])
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_bar(axes: Axes, radius_arcsec: float, size: float) -> None:
    length = max(step for step in (1, 2, 5, 10, 20, 30, 60) if step <= 0.7 * radius_arcsec)
    left, height = 0.9 * radius_arcsec, -0.88 * radius_arcsec
    axes.plot([left, left - length], [height, height], color="white", linewidth=1.6, solid_capstyle="butt")
    axes.text(
        left - length / 2,
        height + 0.05 * radius_arcsec,
        f'{length}"',
        color="white",
        ha="center",
        va="bottom",
        fontsize=size,
    )


def _draw_compass(axes: Axes, radius_arcsec: float) -> None:
    x, y, length = -0.8 * radius_arcsec, -0.88 * radius_arcsec, 0.16 * radius_arcsec
    arrow = {"arrowstyle": "-|>", "color": "white", "linewidth": 1.2}
    for name, end in (("N", (x, y + length)), ("E", (x + length, y))):
        axes.annotate("", end, (x, y), arrowprops=arrow)
        axes.annotate(
            name,
            end,
            ((end[0] - x) / length * -8, (end[1] - y) / length * 8),
            textcoords="offset points",
            color="white",
            fontsize=10,
            ha="center",
            va="center",
        )


def _draw_curve(axes: Axes, curve: LightCurve) -> None:
    axes.set_facecolor("#1c1c1c")
    start_mjd = math.floor(curve.time_mjd.min())
    for band in [name for name in _BAND_COLORS if name in curve.band]:
        chosen = curve.band == band
        order = np.argsort(curve.time_mjd[chosen])
        days = (curve.time_mjd[chosen] - start_mjd)[order]
        color = _BAND_COLORS[band]
        axes.plot(days, curve.flux[chosen][order], color=color, linewidth=0.8, alpha=0.45)
        axes.errorbar(
            days,
            curve.flux[chosen][order],
            curve.flux_error[chosen][order],
            fmt="o",
            markersize=4.5,
            color=color,
            linewidth=1,
            label=band,
        )
    axes.set_xlabel(f"days since MJD {start_mjd} (UTC)", color=_TEXT, fontsize=9)
    axes.set_ylabel(f"flux in the aperture [{curve.unit}]", color=_TEXT, fontsize=9)
    axes.tick_params(colors=_DIM, labelsize=8)
    axes.grid(color="#363636", linewidth=0.6)
    axes.margins(x=0.03, y=0.12)
    for spine in axes.spines.values():
        spine.set_color("#363636")
    axes.legend(ncols=6, fontsize=8.5, labelcolor=_TEXT, frameon=False, loc="upper left")


def _write_heading(figure: Figure, heading: str) -> None:
    title, _, rest = heading.partition("\n")
    inches = float(figure.get_size_inches()[1])
    figure.text(0.012, 1 - 0.14 / inches, title, color=_TEXT, fontsize=14, fontweight="bold", va="top")
    figure.text(0.012, 1 - 0.40 / inches, rest, color=_DIM, fontsize=9.5, va="top")


def _save(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    figure.set_dpi(100)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.save(path, optimize=True)
