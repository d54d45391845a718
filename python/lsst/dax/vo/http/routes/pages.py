"""What is no protocol of the IVOA: pages for people, discovery, health."""

__all__ = ["build_router"]

import html
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse
from starlette.responses import Response as HttpResponse

from ...services import Services
from .._bridge import base_url_of
from .._metrics import JOBS, REGISTRY

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-weight: 600; margin-bottom: 0; } h2 { margin-top: 2rem; font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; }
td, th { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
pre { background: #8882; padding: 1rem; overflow-x: auto; border-radius: .4rem; }
code { font-size: .9em; } .dim { opacity: .7; }
"""


def build_router(services: Services) -> APIRouter:
    """Build the paths beside the protocols.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter()

    # RFC 9110, 9.1: whatever can be got, its head can be got.
    @router.head("/", include_in_schema=False)
    @router.get("/", include_in_schema=False)
    async def front_page(request: Request) -> HttpResponse:
        rows = await run_in_threadpool(services.count_rows)
        return HTMLResponse(_front_page(services, rows, base_url_of(request, services.config)))

    @router.head("/discovery", include_in_schema=False)
    @router.head("/repertoire/discovery", include_in_schema=False)
    @router.get("/discovery", tags=["Discovery"], summary="Datasets and services, as lsst.rsp reads them")
    @router.get("/repertoire/discovery", include_in_schema=False)
    async def discovery(request: Request) -> HttpResponse:
        return JSONResponse(_discovery(services, base_url_of(request, services.config)))

    @router.head("/health", include_in_schema=False)
    @router.get("/health", tags=["Operation"], summary="200 when the stores answer")
    async def health() -> HttpResponse:
        rows = await run_in_threadpool(services.count_rows)
        return JSONResponse({"status": "healthy", "rows": rows})

    @router.head("/metrics", include_in_schema=False)
    @router.get("/metrics", tags=["Operation"], summary="Counters in Prometheus' text format")
    def metrics() -> HttpResponse:
        JOBS.labels("tap").set(services.tap_jobs.running)
        JOBS.labels("cutout").set(services.cutout_jobs.running)
        return HttpResponse(generate_latest(REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def _discovery(services: Services, base_url: str) -> dict[str, Any]:
    # The form of the observatory's own discovery documents, which lsst.rsp
    # reads: datasets by label, each with the services that know it.
    def service(path: str, versions: dict[str, str]) -> dict[str, Any]:
        return {
            "url": f"{base_url}{path}",
            "openapi": f"{base_url}/openapi.json",
            "versions": {name: {"url": f"{base_url}{path}{tail}"} for name, tail in versions.items()},
        }

    datasets = {
        label: {
            "description": f"Images of the Butler repository {label!r}",
            "docs_url": f"{base_url}/",
            "services": {
                "cutout": service("/api/cutout", {"soda-sync-1.0": "/sync", "soda-async-1.0": "/async"}),
                "datalink": service("/api/datalink", {"datalink-links-1.1": "/links"}),
                "sia": service(f"/api/sia/{label}", {"sia-query-2.0": "/query"}),
                "tap": service("/api/tap", {"tables": "/tables"}),
            },
        }
        for label in services.repositories
    }
    return {
        "applications": ["datalinker", "sia", "tap", "vo-cutouts"],
        "datasets": datasets,
        "environment_name": "lsst-dax-vo",
        "influxdb_databases": {},
        "services": {"internal": {}, "ui": {"docs": {"url": f"{base_url}/docs"}}},
    }


def _front_page(services: Services, rows: dict[str, int], base_url: str) -> str:
    repositories = "".join(
        f"<tr><td>{html.escape(label)}</td><td>{rows.get(label, 0):,} images</td>"
        f'<td><a href="api/sia/{html.escape(label)}/query?MAXREC=10">first ten (SIAv2)</a></td></tr>'
        for label in services.repositories
    )
    endpoints = "".join(
        f"<tr><td>{name}</td><td><code>{html.escape(base_url)}{path}</code></td><td>{links}</td></tr>"
        for name, path, links in (
            (
                "TAP",
                "/api/tap",
                '<a href="api/tap/tables">tables</a> · <a href="api/tap/examples">examples</a> · '
                '<a href="api/tap/capabilities">capabilities</a>',
            ),
            (
                "SIAv2",
                "/api/sia/query",
                '<a href="api/sia/examples">examples</a> · <a href="api/sia/capabilities">capabilities</a>',
            ),
            ("DataLink", "/api/datalink/links", '<a href="api/datalink/capabilities">capabilities</a>'),
            (
                "SODA",
                "/api/cutout/sync",
                '<a href="api/cutout/examples">examples</a> · '
                '<a href="api/cutout/capabilities">capabilities</a>',
            ),
        )
    )
    example = html.escape(
        "import pyvo\n"  # noqa: S608 (shown, not run)
        f'tap = pyvo.dal.TAPService("{base_url}/api/tap")\n'
        "rows = tap.search(\"SELECT TOP 5 * FROM ivoa.ObsCore WHERE dataproduct_type = 'image'\")\n"
        "links = rows[0].getdatalink()\n"
        'print(next(links.bysemantics("#this", include_narrower=False)).access_url)\n'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>lsst.dax.vo</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Image services</h1>"
        '<p class="dim">Find, fetch and cut the images of Butler repositories '
        "with the protocols of the IVOA.</p>"
        f"<h2>Repositories</h2><table>{repositories}</table>"
        f"<h2>Services</h2><table>{endpoints}</table>"
        f"<h2>From Python</h2><pre>{example}</pre>"
        '<p><a href="docs">All paths and parameters</a> · <a href="discovery">discovery</a> · '
        '<a href="health">health</a> · <a href="metrics">metrics</a></p></body></html>'
    )
