"""The thin HTTP front: paths, forms and sockets, and nothing else."""

from .app import create_app

__all__ = ["create_app"]
