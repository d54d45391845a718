"""Processes that cut: their own memory, their own lock of AST, and an end."""

from ._messages import Made, NoRoomError, Reply
from ._pool import WorkerPool

__all__ = ["Made", "NoRoomError", "Reply", "WorkerPool"]
