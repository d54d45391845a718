"""Writing an identifier and reading it gives the same one back."""

import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.repo import (
    DatasetId,
    PublisherForm,
    format_butler_uri,
    format_ivoid,
    parse_dataset_id,
)

# What a label may be: any text that survives the stripping of blanks.
_LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
_IDS = st.builds(DatasetId, st.uuids(), st.none() | _LABELS)


@given(_IDS)
def test_butler_uri_round_trip(dataset_id: DatasetId) -> None:
    labels = [dataset_id.label] if dataset_id.label else []
    assert parse_dataset_id(format_butler_uri(dataset_id), labels) == dataset_id


@given(_IDS, st.from_regex(r"[A-Za-z0-9.-]{3,20}(/[A-Za-z0-9._-]{1,10}){0,2}", fullmatch=True))
def test_ivoid_round_trip(dataset_id: DatasetId, authority: str) -> None:
    labels = [dataset_id.label] if dataset_id.label else []
    assert parse_dataset_id(format_ivoid(dataset_id, authority), labels) == dataset_id


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=30))
def test_publisher_form_round_trip(uuid: UUID, head: str) -> None:
    template = "ivo://org.example/" + head.strip() + "?id={id}"
    form = PublisherForm.from_format(template, "here")
    assert form is not None
    assert parse_dataset_id(template.replace("{id}", str(uuid)), ["here"], [form]) == DatasetId(uuid, "here")


@given(st.text())
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError, NotFoundError):
        assert parse_dataset_id(text, ["dp1"]).label in (None, "dp1")


@pytest.mark.parametrize("scheme", ["butler", "ivo", "http", "https"])
@given(rest=st.text())
def test_any_text_after_a_known_scheme_is_an_identifier_or_refused(scheme: str, rest: str) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        parse_dataset_id(f"{scheme}://{rest}", [])
