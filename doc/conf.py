"""Configuration of Sphinx: ``bin/dax-vo docs``."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

from lsst.dax.vo import __version__

project = "lsst.dax.vo"
author = "lsst.dax.vo contributors"
copyright = "lsst.dax.vo contributors, BSD 3-clause"
release = version = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
# Generated pages are included by others, not pages of their own.
exclude_patterns = ["_build", "_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"lsst.dax.vo {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["page.css"]

# Members are listed on the page of their room, not on one page each.
numpydoc_show_class_members = False
autodoc_typehints = "signature"
autodoc_member_order = "groupwise"

sys.path.insert(0, str(Path(__file__).parent))


def setup(app: Sphinx) -> None:
    """Write the pages that the code knows.

    Parameters
    ----------
    app
        Sphinx.
    """
    from _reference import write_reference

    write_reference(Path(app.srcdir) / "_generated")
