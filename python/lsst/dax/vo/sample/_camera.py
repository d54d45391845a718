"""The simulated camera: detectors turned in the focal plane, and its optics."""

__all__ = ["CAMERA_SHAPE", "PIXEL_SCALE_ARCSEC", "CameraPlan", "DetectorPlan"]

import math
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from lsst.images import Box
from lsst.images.cameras import (
    CameraFrameSet,
    CameraFrameSetSerializationModel,
    Detector,
    DetectorAttributes,
    DetectorType,
    Orientation,
)
from lsst.images.serialization import DetachedArchive
from starlink import Ast

CAMERA_SHAPE = (500, 480)
"""Rows and columns of a detector: an eighth of a real one, and not square, so
that rows and columns cannot be taken for one another."""

PIXEL_SCALE_ARCSEC = 0.2
"""Nominal width of a pixel."""

_PIXEL_MM = 0.01
_RADIANS_PER_MM = math.radians(PIXEL_SCALE_ARCSEC / 3600) / _PIXEL_MM

# Radial distortion: r + D r**3. A point 7 mm from the axis moves by 2 pixels,
# some thousand times more than in the real camera, which is that much larger.
_DISTORTION_PER_MM2 = 6e-5


@dataclass(frozen=True, slots=True)
class DetectorPlan:
    """Where a detector is in the focal plane."""

    id: int
    """Number."""

    raft: str
    """Name of its raft."""

    slot: str
    """Name of its place in the raft."""

    x_mm: float
    """Center in the focal plane."""

    y_mm: float
    """Center in the focal plane."""

    yaw_deg: float
    """How far it is turned."""

    @property
    def full_name(self) -> str:
        """Raft and slot."""
        return f"{self.raft}_{self.slot}"


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """All detectors of an instrument."""

    instrument: str
    """Name of the instrument."""

    detectors: tuple[DetectorPlan, ...]
    """Its detectors."""

    shape: tuple[int, int] = CAMERA_SHAPE
    """Rows and columns of each."""

    @property
    def box(self) -> Box:
        """Pixels of a detector."""
        return Box.factory[0 : self.shape[0], 0 : self.shape[1]]

    def frames(self) -> CameraFrameSet:
        """Return pixels, focal plane and field angles, and the ways between.

        Returns
        -------
        frames : `lsst.images.cameras.CameraFrameSet`
        """
        frames = Ast.FrameSet(Ast.Frame(2, "Ident=FOCAL_PLANE,Unit(1)=mm,Unit(2)=mm"))
        optics = Ast.CmpMap(
            Ast.PcdMap(_DISTORTION_PER_MM2, [0.0, 0.0]), Ast.ZoomMap(2, _RADIANS_PER_MM), True
        )
        frames.addframe(1, optics, Ast.Frame(2, "Ident=FIELD_ANGLE,Unit(1)=rad,Unit(2)=rad"))
        rows, columns = self.shape
        for detector in self.detectors:
            to_focal_plane = self._to_focal_plane(detector)
            to_focal_plane.invert()
            frame = Ast.Frame(
                2,
                f"Ident=DETECTOR_{detector.id},Unit(1)=pixel,Unit(2)=pixel,"
                f"Bottom(1)=0,Top(1)={columns},Bottom(2)=0,Top(2)={rows}",
            )
            frames.addframe(1, to_focal_plane, frame)
        lines = _Lines()
        Ast.Channel(None, lines, "Comment=0,Full=-1").write(frames)
        # The public way to make this object is to read it.
        return CameraFrameSetSerializationModel(
            instrument=self.instrument, ast="\n".join(lines.written) + "\n"
        ).deserialize(DetachedArchive())

    def detector(self, detector: DetectorPlan, frames: CameraFrameSet, visit: int) -> Detector:
        """Describe a detector as images carry it along.

        Parameters
        ----------
        detector
            One of `detectors`.
        frames
            What `frames` returns.
        visit
            The visit.

        Returns
        -------
        described : `lsst.images.cameras.Detector`
        """
        attributes = DetectorAttributes(
            name=detector.full_name,
            id=detector.id,
            type=DetectorType.SCIENCE,
            serial=f"SIM-{detector.id:03d}",
            bbox=self.box,
            orientation=Orientation(
                focal_plane_x=detector.x_mm,
                focal_plane_y=detector.y_mm,
                focal_plane_z=0.0,
                pixel_reference_x=(self.shape[1] - 1) / 2,
                pixel_reference_y=(self.shape[0] - 1) / 2,
                yaw=math.radians(detector.yaw_deg) * u.rad,
            ),
            pixel_size=_PIXEL_MM,
            physical_type="SIMULATED",
        )
        return Detector(attributes, [], frames, visit=visit)

    def _to_focal_plane(self, detector: DetectorPlan) -> Ast.Mapping:
        yaw = math.radians(detector.yaw_deg)
        matrix = _PIXEL_MM * np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
        shift = np.array([detector.x_mm, detector.y_mm]) - matrix @ [
            (self.shape[1] - 1) / 2,
            (self.shape[0] - 1) / 2,
        ]
        return Ast.CmpMap(Ast.MatrixMap(matrix), Ast.ShiftMap(shift.tolist()), True)


class _Lines:
    """What an AST channel writes to."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def astsink(self, line: str) -> None:
        self.written.append(line)
