"""The service configuration: files, environment, and what is refused."""

from pathlib import Path
from typing import Any

import pydantic
import pytest

from lsst.dax.vo.config import Limits, RepositoryConfig, ServiceConfig, load_service_config
from lsst.dax.vo.errors import NotFoundError, UsageError

CONFIGS = Path(__file__).parents[2] / "config/service"
SECRET = "not to be shown to anybody"


def write(folder: Path, text: str) -> Path:
    path = folder / "service.yaml"
    path.write_text(text)
    return path


def refused(path: Path | None = None, **variables: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_service_config(path, environment={f"DAX_VO_{key}": text for key, text in variables.items()})
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_need_nothing() -> None:
    config = load_service_config(None, environment={})
    assert config == ServiceConfig()
    assert (config.repositories, config.base_url, config.link_lifetime_s) == ((), None, 3600)
    assert (config.limits.maxrec, config.limits.links) == (10_000, 5_000)


def test_every_file_of_the_project_loads() -> None:
    paths = sorted(CONFIGS.glob("*.yaml"))
    assert paths, f"no service configuration in {CONFIGS}"
    for path in paths:
        load_service_config(path, environment={})


@pytest.mark.parametrize("model", [ServiceConfig, RepositoryConfig, Limits])
def test_every_field_is_described(model: type[pydantic.BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_file_environment_and_overrides_in_this_order(tmp_path: Path) -> None:
    path = write(tmp_path, "publisher: file\ncontact: file\nlink_lifetime_s: 60\nlimits: {maxrec: 7}\n")
    config = load_service_config(
        path,
        environment={"DAX_VO_CONTACT": "variable", "DAX_VO_LINK_LIFETIME_S": "61", "CONTACT": "other"},
        overrides={"link_lifetime_s": 62},
    )
    assert (config.publisher, config.contact, config.link_lifetime_s) == ("file", "variable", 62)
    assert config.limits.maxrec == 7


def test_variables_hold_yaml() -> None:
    config = load_service_config(
        None,
        environment={
            "DAX_VO_LIMITS": "{maxrec: 3}",
            "DAX_VO_TRUSTED_PROXIES": "[10.0.0.1, 10.1.0.0/16]",
            "DAX_VO_REPOSITORIES": "[{repo: dp1, store: dp1.store}]",
        },
    )
    assert config.limits.maxrec == 3
    assert [str(network) for network in config.trusted_proxies] == ["10.0.0.1/32", "10.1.0.0/16"]
    assert config.repositories == (RepositoryConfig(repo="dp1", store="dp1.store"),)


def test_other_variables_of_the_project_do_no_harm() -> None:
    assert load_service_config(None, environment={"DAX_VO_SAMPLE": "/data"}) == ServiceConfig()


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = write(
        tmp_path,
        "repositories:\n"
        "- {repo: data, store: stores/a.store, obscore: a.yaml}\n"
        "- {repo: label, store: 'duckdb:///srv/b.store', obscore: /etc/b.yaml}\n",
    )
    first, second = load_service_config(path, environment={}).repositories
    assert first == RepositoryConfig(
        repo=str(tmp_path / "data"), store=str(tmp_path / "stores/a.store"), obscore=tmp_path / "a.yaml"
    )
    assert second == RepositoryConfig(
        repo="label", store="duckdb:///srv/b.store", obscore=Path("/etc/b.yaml")
    )


def test_folder_of_jobs_is_relative_to_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "jobs_folder: ./jobs\n")
    assert load_service_config(path, environment={}).jobs_folder == tmp_path / "jobs"
    given = load_service_config(path, environment={"DAX_VO_JOBS_FOLDER": "/srv/jobs"})
    assert given.jobs_folder == Path("/srv/jobs")


@pytest.mark.parametrize(
    "host",
    ["data.example.org", "data.example.org:8443", "*.example.org", "*", "*:8080", "10.0.0.1", "[::1]:80"],
)
def test_hosts_of_uploads(host: str) -> None:
    assert Limits(upload_hosts=(host,)).upload_hosts == (host,)


@pytest.mark.parametrize(
    "host", ["https://example.org", "example.org/x", "", "a*.org", "x:y", "user@example.org", "::1"]
)
def test_hosts_of_uploads_that_are_none(host: str) -> None:
    with pytest.raises(
        pydantic.ValidationError, match=r"upload_hosts.0\n.*is no host; give 'name', 'name:port'"
    ):
        Limits(upload_hosts=(host,))


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        ServiceConfig().publisher = "another"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no service configuration .*none\.yaml; give the path"):
        load_service_config(tmp_path / "none.yaml", environment={})


def test_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_bytes(b"publisher: \xff\xfe")
    assert "cannot be read" in refused(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "holds no mapping; give keys such as 'repositories:'"),
        ("publisher: [a", "is not YAML: .*line 1, column"),
        ("publisher: '\x07'", "is not YAML: .*characters"),
        ("publishr: us\n", r"publishr: unknown key here, did you mean 'publisher' at the top\?"),
        ("maxrec: 7\n", r"maxrec: unknown key here, did you mean 'maxrec' in 'limits'\?"),
        ("zzz: 1\n", "zzz: unknown key here; known: .*base_url"),
        ("limits: {maxrek: 1}\n", r"limits\.maxrek: unknown key here, did you mean 'maxrec'"),
        ("repositories: [{stor: x}]\n", r"repositories\.0\.repo: Field required.*did you mean 'store'"),
        ("repositories: 5\n", "repositories: Input should be a valid tuple"),
        ("repositories: [dp1]\n", r"repositories\.0: Input should be a valid dictionary"),
        ("5: six\n", "5: "),
        ("base_url: example.org\n", "base_url: String should match"),
        ("base_url: 'http://example.org/?a=b'\n", "base_url: String should match"),
        ("access_url: mine\n", "access_url: Input should be 'service' or 'exported'"),
        ("limits: {maxrec: -1}\n", r"limits\.maxrec: Input should be greater than or equal to 0"),
        ("link_lifetime_s: 0\n", "link_lifetime_s: Input should be greater"),
        ("link_lifetime_s: soon\n", "link_lifetime_s: Input should be a valid integer"),
        ("signing_keys: [{id: 'a b', secret: 0123456789abcdef}]\n", r"signing_keys\.0\.id: String should"),
    ],
)
def test_refused_values_name_the_key_and_what_is_accepted(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    found = refused(path)
    assert found.startswith(str(path))
    with pytest.raises(UsageError, match=message):
        load_service_config(path, environment={})


def test_variable_that_is_no_yaml_is_named() -> None:
    assert refused(LIMITS="{maxrec: ").startswith("DAX_VO_LIMITS is not YAML")


@pytest.mark.parametrize(
    "text",
    [
        f"[{{id: a, secret: '{SECRET}'",
        f"[{{id: a, secret: '{SECRET}' x}}]",
        f"[{{id: 'a b', secret: '{SECRET}'}}]",
        "[{id: a, secret: 'too short'}]",
    ],
)
def test_secrets_are_in_no_message(text: str) -> None:
    message = refused(SIGNING_KEYS=text)
    assert SECRET not in message
    assert "too short'" not in message


def test_secrets_are_not_shown() -> None:
    keys: Any = [{"id": "a", "secret": SECRET}]
    config = ServiceConfig(signing_keys=keys)
    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert config.signing_keys[0].secret.get_secret_value() == SECRET
