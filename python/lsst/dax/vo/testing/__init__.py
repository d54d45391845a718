"""Contract suites and other test support; imported by tests only."""

from ._cutout_backend import CutoutBackendTests, CutoutSample
from ._cutout_files import IMAGE_SHAPE, IMAGE_XY0, make_image_header, make_image_planes, write_afw_file

__all__ = [
    "IMAGE_SHAPE",
    "IMAGE_XY0",
    "CutoutBackendTests",
    "CutoutSample",
    "make_image_header",
    "make_image_planes",
    "write_afw_file",
]
