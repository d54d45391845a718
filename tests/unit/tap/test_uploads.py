"""Tables that come with a query: where they are, and what is refused."""

import io

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.tap import UploadSource
from lsst.dax.vo.tap._uploads import Uploads, load_uploads

LIMITS = Limits(upload_rows=3, upload_bytes=2000)


def votable(*names: str, rows: int = 1) -> bytes:
    fields = "".join(f'<FIELD name="{name}" datatype="int" unit="m"/>' for name in names)
    row = f"<TR>{'<TD>7</TD>' * len(names)}</TR>"
    return (
        '<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        f"{fields}<DATA><TABLEDATA>{row * rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()


def load(*sources: UploadSource, **files: bytes) -> Uploads:
    params = ParamSet(files={name: io.BytesIO(content) for name, content in files.items()})
    return load_uploads(sources, params, LIMITS, seconds=10)


def test_no_tables() -> None:
    assert load() == Uploads()


def test_tables_are_named_and_typed() -> None:
    found = load(UploadSource("Stars", "part"), UploadSource("b", "part"), part=votable("objID", "select"))
    assert [(table.schema, table.name) for table in found.tables] == [
        ("TAP_UPLOAD", "TAP_UPLOAD.Stars"),
        ("TAP_UPLOAD", "TAP_UPLOAD.b"),
    ]
    assert [(column.name, column.datatype, column.unit) for column in found.tables[0].columns] == [
        ("objID", "int", "m"),
        ("select", "int", "m"),
    ]
    # One part may serve twice.
    assert {name: rows.to_pylist() for name, rows in found.rows.items()} == {
        name: [{"objID": 7, "select": 7}] for name in ("Stars", "b")
    }


@pytest.mark.parametrize(
    ("source", "files", "message"),
    [
        (
            UploadSource("t", "x"),
            {},
            "UPLOAD: the request has no file in a part 'x'; send the table in a part",
        ),
        (
            UploadSource("t", "x"),
            {"X": b"", "y": b""},
            "UPLOAD: the request has no file in a part 'x'; it has 'X', 'y'",
        ),
        (UploadSource("t", "x"), {"x": b"nothing"}, "UPLOAD t: "),
        (UploadSource("t", "x"), {"x": b""}, "UPLOAD t: "),
        (UploadSource("t", "x"), {"x": votable("a", rows=4)}, "UPLOAD t: "),
        (
            UploadSource("t", "x"),
            {"x": votable("a", rows=3) + b" " * 2000},
            "UPLOAD: the tables have more than 2000",
        ),
        (
            UploadSource("t", "x"),
            {"x": votable("Ab", "aB")},
            "UPLOAD t: the columns 'Ab' and 'aB' differ by the case",
        ),
        (
            UploadSource("t", url="http://127.0.0.1/x"),
            {},
            "UPLOAD: this service fetches no tables from '127.0.0.1:80'",
        ),
    ],
)
def test_what_is_refused(source: UploadSource, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(source, **files)
    assert str(caught.value).startswith(message)


def test_limit_of_bytes_is_of_all_tables_together() -> None:
    content = votable("a", rows=3)
    each = b"<!--" + b"x" * (1100 - len(content)) + b"-->"
    assert len(load(UploadSource("a", "a"), a=content + each).tables) == 1
    with pytest.raises(UsageError, match="have more than 2000 bytes together"):
        load(UploadSource("a", "a"), UploadSource("b", "b"), a=content + each, b=content + each)
