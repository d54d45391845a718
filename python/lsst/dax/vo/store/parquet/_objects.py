"""The few things that are done with objects of S3, and what can go wrong."""

from __future__ import annotations

__all__ = ["Bucket", "ChangedError"]

import contextlib
import os
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ...errors import TransientError, UsageError, VoError

try:
    import boto3
    from boto3.exceptions import S3UploadFailedError
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
    from botocore.handlers import validate_bucket_name
    from s3transfer.exceptions import RetriesExceededError
except ModuleNotFoundError as err:
    raise UsageError(
        "Stores in buckets need boto3, which is not installed: pip install 'lsst-dax-vo[s3]'"
    ) from err

# A server that does not answer is known soon; the library would take minutes.
_CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
_MISSING = ("NoSuchKey", "404", "NotFound")
_DENIED = ("AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "500", "502", "503", "504", "RequestTimeout")


class ChangedError(Exception):
    """An object is not the one that was to be replaced."""


class Bucket:
    """A folder of a bucket.

    Parameters
    ----------
    url
        ``s3://bucket/folder``, perhaps with a profile before the bucket, as
        `lsst.resources` has it: the endpoint comes from
        ``LSST_RESOURCES_S3_PROFILE_name`` or ``S3_ENDPOINT_URL``.
    writing
        Whether to complain of what cannot be written, not read.
    """

    def __init__(self, url: str, *, writing: bool = False) -> None:
        parts = urlsplit(url)
        profile, _, self._name = parts.netloc.rpartition("@")
        self._prefix = f"{unquote(parts.path).strip('/')}/".lstrip("/")
        self._shown = url
        self._verb = "written" if writing else "read"
        try:
            self._client = _connect(profile or None, self._name)
        except (ProfileNotFound, ValueError) as err:
            raise UsageError(
                f"The store {self._shown} cannot be {self._verb}: S3_ENDPOINT_URL is no URL, or there is no "
                "profile of this name; set LSST_RESOURCES_S3_PROFILE_name to https://key:secret@host"
            ) from err

    def read(self, name: str) -> tuple[bytes, str]:
        """Read a small object.

        Parameters
        ----------
        name
            Its name in the folder.

        Returns
        -------
        content : `bytes`
            What is in it.
        tag : `str`
            What tells it from others of its name.
        """
        with self._explained():
            found = self._client.get_object(**self._key(name))
            return found["Body"].read(), found["ETag"]

    def size(self, name: str) -> int:
        """Return how large an object is.

        Parameters
        ----------
        name
            Its name in the folder.

        Returns
        -------
        size : `int`
            In bytes.
        """
        with self._explained():
            return int(self._client.head_object(**self._key(name))["ContentLength"])

    def age_s(self, name: str) -> float:
        """Return how old an object is, by the clock of the server.

        Parameters
        ----------
        name
            Its name in the folder.

        Returns
        -------
        age_s : `float`
            In seconds.
        """
        with self._explained():
            found = self._client.head_object(**self._key(name))
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - found["LastModified"]).total_seconds())

    def names(self) -> list[str]:
        """List the folder.

        Returns
        -------
        names : `list` [`str`]
            Of its objects, also of those in folders below.
        """
        with self._explained():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._name, Prefix=self._prefix
            )
            return [
                found["Key"].removeprefix(self._prefix)
                for page in pages
                for found in page.get("Contents", [])
                # An object of the name of the folder is what some tools make for one.
                if found["Key"] != self._prefix
            ]

    def download(self, name: str, stream: BinaryIO) -> None:
        """Read a large object.

        Parameters
        ----------
        name
            Its name in the folder.
        stream
            Where to write it.
        """
        with self._explained():
            self._client.download_fileobj(**self._key(name), Fileobj=stream)

    def upload(self, path: Path, name: str) -> None:
        """Write a large object.

        Parameters
        ----------
        path
            The file.
        name
            Its name in the folder.
        """
        with self._explained():
            self._client.upload_file(str(path), **self._key(name))

    def put(self, name: str, content: bytes, *, replaces: str | None) -> str:
        """Write a small object at once.

        Parameters
        ----------
        name
            Its name in the folder.
        content
            What is in it; nobody else writes the same.
        replaces
            What tells the object that it replaces; `None` if there is none.

        Returns
        -------
        tag : `str`
            What tells it from others of its name.

        Raises
        ------
        ChangedError
            Raised if there is another object.
        """
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        with self._explained():
            try:
                done = self._client.put_object(**self._key(name), Body=content, **condition)
            except ClientError as err:
                if _code(err) in _CHANGED or (replaces is not None and _code(err) in _MISSING):
                    return self._find_own(name, content, err)
                if _code(err) not in ("NotImplemented", "501"):
                    raise
                # A server without conditions: what comes last counts.
                done = self._client.put_object(**self._key(name), Body=content)
            return str(done["ETag"])

    def remove(self, name: str) -> None:
        """Remove an object.

        Parameters
        ----------
        name
            Its name in the folder.
        """
        with self._explained():
            self._client.delete_object(**self._key(name))

    def forget_uploads(self, prefix: str) -> None:
        """Have the server forget uploads that were broken off, as by a process that was killed.

        Their parts are in no list of objects, and take room all the same.

        Parameters
        ----------
        prefix
            What names of the objects in the folder begin with.
        """
        with self._explained():
            found = self._client.list_multipart_uploads(Bucket=self._name, Prefix=f"{self._prefix}{prefix}")
            for upload in found.get("Uploads", []):
                self._client.abort_multipart_upload(
                    Bucket=self._name, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def _find_own(self, name: str, content: bytes, error: Exception) -> str:
        """Return the tag of an object that was written, but whose answer was lost.

        The library asks again then, and finds what it wrote itself.
        """
        with contextlib.suppress(FileNotFoundError):
            found, tag = self.read(name)
            if found == content:
                return tag
        raise ChangedError from error

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self._name, "Key": f"{self._prefix}{name}"}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ClientError as err:
            raise self._explain(_code(err)) from err
        except NoCredentialsError as err:
            raise UsageError(
                f"The store {self._shown} cannot be {self._verb}: there are no credentials; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile: s3://profile@bucket/folder"
            ) from err
        except S3UploadFailedError as err:
            found = err.__context__
            raise self._explain(_code(found) if isinstance(found, ClientError) else "no answer") from err
        except (BotoCoreError, RetriesExceededError) as err:
            # Its text may hold what it was asked with.
            raise TransientError(
                f"The store {self._shown} cannot be {self._verb} now: the server of the bucket does not "
                f"answer ({type(err).__name__})"
            ) from err

    def _explain(self, code: str) -> VoError | FileNotFoundError:
        if code in _MISSING:
            return FileNotFoundError(code)
        if code == "NoSuchBucket":
            return UsageError(f"The store {self._shown} is in a bucket that there is not; look at its name")
        what = f"The store {self._shown} cannot be {self._verb}"
        if code in _DENIED:
            told = f"permission denied ({code}); look at the credentials and the rights of the bucket"
            return (
                TransientError(f"{what} now: {told}")
                if self._verb == "read"
                else UsageError(f"{what}: {told}")
            )
        if code in _BUSY or self._verb == "read":
            return TransientError(f"{what} now: the server of the bucket says {code}")
        return UsageError(f"{what}: the server of the bucket says {code}")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _connect(profile: str | None, bucket: str) -> Any:
    endpoint = os.environ.get(f"LSST_RESOURCES_S3_PROFILE_{profile}") if profile else None
    endpoint = endpoint or os.environ.get("S3_ENDPOINT_URL") or None
    told = frozenset(item for item in os.environ.items() if item[0].startswith("AWS_"))
    # As Ceph names the buckets of a tenant, "tenant:bucket".
    return _client(profile, endpoint, told, any_name=":" in bucket)


@lru_cache(maxsize=8)
def _client(
    profile: str | None, endpoint: str | None, _told: frozenset[tuple[str, str]], *, any_name: bool
) -> Any:
    """Return a client, which any thread may use: to make one takes 60 ms.

    All that a client takes from the environment is among the arguments.
    """
    given: dict[str, str | None] = {"endpoint_url": endpoint}
    if endpoint and "@" in endpoint:
        parts = urlsplit(endpoint)
        user, _, host = parts.netloc.rpartition("@")
        key, _, secret = user.partition(":")
        given = {
            "endpoint_url": parts._replace(netloc=host).geturl(),
            "aws_access_key_id": unquote(key),
            "aws_secret_access_key": unquote(secret),
        }
    named = profile if profile and not endpoint else None
    client = boto3.Session(profile_name=named).client("s3", **given, config=Config(**_CONFIG))
    if any_name:
        client.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    return client
