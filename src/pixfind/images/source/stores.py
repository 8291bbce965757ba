"""
Stores of objects: how one is reached, with which credentials, and what its answers mean.

Owns the one rule about hosts: only the store that the user named is asked, and the services that give the credentials which the user has set up. Nobody
else is, so the metadata service of a cloud machine is asked for a role only where the root says so. Credentials are taken from the environment and
from the files of the vendors' own tools, are held by the client alone, and never come into a text of ours: what a client says when a request fails may
contain a signed address, so its words are never passed on. The client is obstore, which is imported by the first request.
"""

import configparser
import datetime
import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pixfind import errors
from pixfind.images.source.network import Lasting, Passing

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    Store = S3Store | GCSStore | AzureStore

SCHEMES: Final = ("s3", "gs", "az")

_CLIENT: Final["ClientConfig"] = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "600s"}
_RETRIES: Final["RetryConfig"] = {
    "max_retries": 3,
    "retry_timeout": datetime.timedelta(seconds=20),
    "backoff": {
        "init_backoff": datetime.timedelta(milliseconds=200),
        "max_backoff": datetime.timedelta(seconds=5),
        "base": 2,
    },
}

_CREDENTIAL_CODES: Final = re.compile(
    r"ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|TokenRefreshRequired|InvalidToken|RequestTimeTooSkewed"
    r"|AuthenticationFailed|InvalidAuthenticationInfo|InvalidSecurity|AuthorizationHeaderMalformed|PermanentRedirect"
)
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|InvalidBucketName|AccountIsDisabled")
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3}(?: [A-Za-z ]{1,40})?)")
_REGION: Final = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>")
_TROUBLE: Final = re.compile(r"kind: (Connect|Timeout|Interrupted|Decode|Request)\b")

_PATH: Final = re.compile(r'Path "((?:[^"\\]|\\.){1,300})"')

_TROUBLES: Final = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection was cut",
    "Decode": "the answer was cut",
    "Request": "the connection was cut",
}


def opened(scheme: str, bucket: str, settings: Mapping[str, Any]) -> "Store":
    """
    Return the client of a bucket.

    `settings`: `endpoint`, `region`, `anonymous`, `instance_role`, all optional. Raises CloudSupportMissing, and AddressRefused where there are no
    credentials or the settings are none.
    """
    return _opened(scheme, bucket, json.dumps(settings, sort_keys=True))


@functools.lru_cache(maxsize=64)
def _opened(scheme: str, bucket: str, settings: str) -> "Store":
    try:
        from obstore import exceptions, store
    except ImportError as error:
        raise errors.CloudSupportMissing(path=f"{scheme}://{bucket}") from error
    known = json.loads(settings)
    _check_endpoint(scheme, bucket, str(known.get("endpoint") or ""))
    given = {"s3": _of_s3, "gs": _of_gs, "az": _of_az}[scheme](bucket, known)
    # Where the user names such an endpoint: a server of the house, or of a test.
    plain = str(given.get("endpoint") or given.get("base_url") or "").startswith("http://")
    client: ClientConfig = {**_CLIENT, "allow_http": plain}
    kinds: dict[str, Callable[..., Store]] = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}
    try:
        return kinds[scheme](bucket, **given, client_options=client, retry_config=_RETRIES)
    except (exceptions.BaseError, ValueError):
        # Not its words: they may quote a key.
        raise errors.AddressRefused(
            path=f"{scheme}://{bucket}",
            detail="the settings for this store are not valid",
            instead="Check --endpoint, and the environment variables that the tools of the store's vendor read.",
        ) from None


def _check_endpoint(scheme: str, bucket: str, endpoint: str) -> None:
    """Raise AddressRefused for an endpoint with a password or a signature in it, which the root would remember."""
    host, _, query = endpoint.partition("?")
    if query or "@" in host:
        raise errors.AddressRefused(
            path=f"{scheme}://{bucket}",
            detail="the endpoint contains credentials, which would be stored with it",
            instead="Leave them out of --endpoint, and set the environment variables that the tools of the store's vendor read.",
        )


def _of_s3(bucket: str, known: Mapping[str, Any]) -> dict[str, Any]:
    profile = _aws_profile()
    place = {
        "endpoint": known.get("endpoint")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url"),
        "region": known.get("region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or profile.get("region")
        or "us-east-1",
    }
    found: dict[str, Any] = {name: value for name, value in place.items() if value}
    if known.get("anonymous"):
        return {**found, "skip_signature": True}
    by_environment = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if known.get("instance_role") or any(map(os.environ.get, (*by_environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI"))):
        return found
    if "aws_access_key_id" in profile and "aws_secret_access_key" in profile:
        found["access_key_id"] = profile["aws_access_key_id"]
        found["secret_access_key"] = profile["aws_secret_access_key"]
        if "aws_session_token" in profile:
            found["session_token"] = profile["aws_session_token"]
        return found
    raise _no_credentials("s3", bucket, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile with keys")


def _aws_profile() -> dict[str, str]:
    """Return what the files of the AWS command line say of the profile in use."""
    name = os.environ.get("AWS_PROFILE") or "default"
    found: dict[str, str] = {}
    for variable, place, section in (
        ("AWS_CONFIG_FILE", "~/.aws/config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", name),
    ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(os.path.expanduser(os.environ.get(variable) or place), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # The tools of the vendor say what is wrong with it; here it holds no credentials.
        if parser.has_section(section):
            found.update(parser.items(section))
    return found


def _of_gs(bucket: str, known: Mapping[str, Any]) -> dict[str, Any]:
    found = {"base_url": known["endpoint"]} if known.get("endpoint") else {}
    if known.get("anonymous"):
        return {**found, "skip_signature": True}
    by_environment = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY")
    here = Path.home() / ".config/gcloud/application_default_credentials.json"
    named = any(map(os.environ.get, (*by_environment, "GOOGLE_APPLICATION_CREDENTIALS")))
    if named or here.is_file() or known.get("instance_role"):
        return found
    raise _no_credentials("gs", bucket, "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`")


def _of_az(bucket: str, known: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"endpoint": known["endpoint"]} if known.get("endpoint") else {}
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or os.environ.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise errors.AddressRefused(
            path=f"az://{bucket}",
            detail="nothing says in which storage account it is",
            instead="Set AZURE_STORAGE_ACCOUNT to the name of the account.",
        )
    found["account_name"] = account
    if known.get("anonymous"):
        return {**found, "skip_signature": True}
    by_environment = (
        *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"),
        *("AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"),
    )
    # The name that Microsoft's command line reads.
    if sas := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
        found["sas_key"] = sas
    if any(map(os.environ.get, by_environment)) or known.get("instance_role"):
        return found
    raise _no_credentials("az", bucket, "AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN")


def _no_credentials(scheme: str, bucket: str, set_up: str) -> errors.AddressRefused:
    return errors.AddressRefused(
        path=f"{scheme}://{bucket}",
        detail="there are no credentials for it",
        instead=f"Set {set_up}; or say --anonymous for a public bucket, --instance-role on a machine of the cloud that has a role.",
    )


# --- what answers mean ----------------------------------------------------------------------------


class UnreadableKey(ValueError):  # noqa: N818  an answer among others
    """The client cannot read a key with an empty or dotted part, and of a listing nothing that comes with it."""

    def __init__(self, written: str) -> None:
        """`written`: the key with its quotes, backslashes and control characters escaped; empty where it is not known."""
        super().__init__(f"a key with an empty or dotted part cannot be read{f': {written!r}' if written else ''}")
        self._written = written

    def after(self) -> str | None:
        """Return a key behind this one and all others that have this part in this place; None where that is not known."""
        parts = self._written.split("/")
        bad = next((place for place, part in enumerate(parts) if part in ("", ".", "..")), None)
        if not self._written or bad is None or "\\" in self._written:
            return None
        # "0" comes right behind "/"; it is no picture, which would have a suffix.
        return "/".join(parts[: bad + 1]) + "0"


def problem_of(error: Exception) -> Exception:
    """
    Return what an exception of the client means: Lasting, Passing, PermissionError (this object or all), or FileNotFoundError.

    Their texts contain no word of the client but codes.
    """
    said = str(error)
    code, status = _CODE.search(said), _STATUS.search(said)
    known = " ".join(found[1].strip() for found in (status, code) if found)
    if _CREDENTIAL_CODES.search(said):
        region = _REGION.search(said)
        advice = f"; it lies in the region {region[1]}: set AWS_REGION, or --region" if region else ""
        return Lasting(f"the credentials are not accepted ({known}){advice}")
    if _NO_BUCKET.search(said):
        return Lasting(f"there is no such bucket ({known})")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError("it is not there")
    kind = type(error).__name__
    if kind == "InvalidPathError":
        found = _PATH.search(said)
        return UnreadableKey(found[1] if found else "")
    if known.startswith(("401", "403")) or isinstance(error, PermissionError):
        return PermissionError(f"access denied ({known})")
    trouble = _TROUBLE.search(said)
    return Passing(known or (_TROUBLES[trouble[1]] if trouble else kind))


def is_throttling(problem: Exception) -> bool:
    """Tell whether a store asks for fewer requests, and so answers others."""
    return str(problem).startswith(("429", "503"))
