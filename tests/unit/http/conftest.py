"""Requests to an ASGI application without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

CLIENT = "10.0.0.9"


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """Send one request to an application and return the whole answer."""

    def send(
        app: FastAPI, method: str, target: str, *, client: str = CLIENT, **options: Any
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(client, 4321))
            async with httpx.AsyncClient(transport=transport, base_url="http://vo.example.org") as session:
                return await session.request(method, target, **options)

        return asyncio.run(run())

    return send
