"""The tour: ``bin/dax-vo demo``, or ``python -m lsst.dax.vo.sample._tour``.

It builds the sample, exports it, serves it, and then is an astronomer with
public clients alone: what it finds comes over HTTP, or from the Butler to
compare with.
"""

__all__ = ["main", "take_tour"]

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from astropy.utils import iers
from lsst.rsp import RSPDiscovery, get_siav2_service, get_tap_service

from ..errors import TransientError, VoError
from . import _tour_catalogue as catalogue
from . import _tour_images as images
from ._tour_report import Report
from ._tour_server import running_server
