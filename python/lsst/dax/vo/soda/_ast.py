"""AST, the library behind every WCS, may be used by one thread at a time."""

__all__ = ["AST_LOCK"]

import threading

AST_LOCK = threading.RLock()
"""Held by whoever uses AST, also inside `lsst.images`.

AST keeps what it is reading and writing in static variables, and while its
channels call Python for a line, another thread may enter it: texts come out
mixed up, and the process ends with a segmentation fault.
"""
