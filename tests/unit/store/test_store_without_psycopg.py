"""PostgreSQL and S3 are extras: stores in folders do not need their libraries."""

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
sys.modules["psycopg"] = sys.modules["boto3"] = None
from lsst.dax.vo.dali import Column
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.store import open_store, open_updater, open_writer, parse_store
given = {"columns": [Column("a", "long")], "properties": {}}
with open_writer(parse_store(sys.argv[1]), **given):
    pass
print(open_store(parse_store(sys.argv[1])).properties["rows"])
location = parse_store("postgresql://host/db")
for ask in (open_store, lambda item: open_writer(item, **given), lambda item: open_updater(item, **given)):
    try:
        ask(location)
    except UsageError as err:
        print(err)
location = parse_store("s3://bucket/folder")
for ask in (open_store, lambda item: open_writer(item, **given), lambda item: open_updater(item, **given)):
    try:
        ask(location)
    except UsageError as err:
        print(err)
"""


def test_the_message_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, tmp_path / "s"], check=True, capture_output=True, text=True
    )
    told = "Stores in PostgreSQL need psycopg, which is not installed: pip install 'lsst-dax-vo[postgres]'"
    bucket = "Stores in buckets need boto3, which is not installed: pip install 'lsst-dax-vo[s3]'"
    assert done.stdout.splitlines() == ["0", *[told] * 3, *[bucket] * 3]
