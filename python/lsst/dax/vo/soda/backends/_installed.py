"""Which of the packages that some files need are there."""

__all__ = ["is_installed"]

from importlib.util import find_spec


def is_installed(module: str) -> bool:
    """Tell whether a module can be imported, without importing it.

    Parameters
    ----------
    module
        Its full name; the packages that it is in are imported.

    Returns
    -------
    is_installed : `bool`
    """
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # One of the packages that it is in.
        return False
