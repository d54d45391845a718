"""Cutouts as Firefly, the portal's viewer, asks for them by what a descriptor says.

Its rules, written anew after reading what it does (Caltech-IPAC/firefly,
``VoDataLinkServDef.js``, ``ServDescProducts.js``, ``ServiceDefTools.js``):

- The image of ``#this`` has a cutout if exactly one row of its ID has "cutout"
  in its semantics or local semantics; descriptors whose standard ID says async are left out.
- All parameters with a value are sent, those of no value as blanks; those
  with a ``ref`` have the value of that column of the row.
- A parameter of the xtype "circle" takes the place and the size.
- A form offers the first option of parameters that have some.
"""

import io
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import requests
from astropy.io import fits
from astropy.wcs import WCS

VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"


@dataclass(frozen=True)
class Table:
    """A VOTable as Firefly has it."""

    root: ET.Element

    @property
    def rows(self) -> list[dict[str, str]]:
        names = [str(field.get("name")) for field in self.root.iter(f"{VOT}FIELD")]
        return [
            dict(zip(names, [cell.text or "" for cell in row], strict=True))
            for row in self.root.iter(f"{VOT}TR")
        ]

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns by their XML IDs."""
        return {str(field.get("ID")): str(field.get("name")) for field in self.root.iter(f"{VOT}FIELD")}

    @property
    def descriptors(self) -> dict[str, ET.Element]:
        """Those that Firefly uses, by ID."""
        found = {}
        for resource in self.root.iter(f"{VOT}RESOURCE"):
            if (resource.get("utype") or "").lower() != "adhoc:service" or resource.get("type") != "meta":
                continue
            if "async" not in value_of(resource, "standardID").lower():
                found[str(resource.get("ID"))] = resource
        return found


def is_cutout(row: dict[str, str]) -> bool:
    return any("cutout" in row[name].lower() for name in ("semantics", "local_semantics"))


def value_of(resource: ET.Element, name: str) -> str:
    return next(
        str(item.get("value")) for item in resource.findall(f"{VOT}PARAM") if item.get("name") == name
    )


def inputs_of(resource: ET.Element) -> list[ET.Element]:
    (group,) = [item for item in resource.findall(f"{VOT}GROUP") if item.get("name") == "inputParams"]
    return group.findall(f"{VOT}PARAM")


def cutout_url(
    table: Table, row: dict[str, str], resource: ET.Element, circle: str, *, form: bool = False
) -> str:
    """Make the URL that Firefly fetches."""
    sent = {}
    for param in inputs_of(resource):
        name, options = str(param.get("name")), param.findall(f"{VOT}VALUES/{VOT}OPTION")
        sent[name] = param.get("value") or ""
        if form and options and not sent[name]:
            sent[name] = str(options[0].get("value"))
        if (ref := param.get("ref")) is not None:
            sent[name] = row[table.columns[ref]]
    (area,) = [param for param in inputs_of(resource) if (param.get("xtype") or "").lower() == "circle"]
    sent[str(area.get("name"))] = circle
    return f"{value_of(resource, 'accessURL')}?{urlencode(sent)}"


def get(url: str) -> Table:
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return Table(ET.fromstring(answer.content))


def check(url: str, place: tuple[float, float]) -> None:
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == "application/fits"
    with fits.open(io.BytesIO(answer.content)) as hdus:
        hdu = next(hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
        x, y = WCS(hdu.header).celestial.world_to_pixel_values(*place)
        assert abs(x - (hdu.data.shape[1] - 1) / 2) < 2
        assert abs(y - (hdu.data.shape[0] - 1) / 2) < 2


@pytest.mark.parametrize("form", [False, True], ids=["button", "form"])
def test_cutout_of_links(base_url: str, image_id: str, place: tuple[float, float], form: bool) -> None:
    table = get(f"{base_url}/api/datalink/links?{urlencode({'ID': image_id})}")
    (this,) = [row for row in table.rows if row["semantics"] == "#this"]
    assert "fits" in this["content_type"]
    (row,) = [row for row in table.rows if row["ID"] == this["ID"] and is_cutout(row)]
    resource = table.descriptors[row["service_def"]]
    check(cutout_url(table, row, resource, f"{place[0]} {place[1]} 0.001", form=form), place)


@pytest.mark.parametrize("form", [False, True], ids=["button", "form"])
@pytest.mark.parametrize("path", ["tap/sync", "sia/query"])
def test_cutout_of_a_row(
    base_url: str, image_id: str, place: tuple[float, float], path: str, form: bool
) -> None:
    query = f"SELECT * FROM ivoa.ObsCore WHERE obs_publisher_did = '{image_id}'"
    asked = {"LANG": "ADQL", "QUERY": query} if "tap" in path else {"ID": image_id}
    table = get(f"{base_url}/api/{path}?{urlencode(asked | {'RESPONSEFORMAT': 'votable/td'})}")
    (row,) = table.rows
    (resource,) = [item for item in table.descriptors.values() if "SODA" in value_of(item, "standardID")]
    check(cutout_url(table, row, resource, f"{place[0]} {place[1]} 0.001", form=form), place)
