"""Where it runs, and with what."""

import os
import platform
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from ._cases import CASES, available

PACKAGES = ("lsst-dax-vo", "numpy", "astropy", "fitsio", "lsst-images", "astrocut")


def memory_folder() -> str | None:
    folder = Path("/dev/shm")  # noqa: S108 - a file system, not a name in it
    with suppress(OSError):
        status = os.statvfs(folder)
        return str(folder) if status.f_bavail * status.f_frsize > 2**30 else None
    return None


def describe_machine() -> str:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        processor = match[1] if match else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    missing = [case.name for case in CASES if case not in available(CASES)]
    return (
        f"- {os.cpu_count()} cores ({processor}), {memory:.0f} GiB, {platform.system()}\n"
        f"- Python {platform.python_version()}, {', '.join(versions)}"
        + (f"\n- not installed, and so not measured: {', '.join(missing)}" if missing else "")
    )
