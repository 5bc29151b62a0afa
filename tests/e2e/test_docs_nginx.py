"""The file of docs/how-to/nginx.md before a real service: uploads, events as they come, gRPC, the public address."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageChops

from moebius_client import Client
from tests.e2e.code_blocks import ROOT, blocks_of
from tests.e2e.serving import serving, until

PAGE = ROOT / "docs" / "how-to" / "nginx.md"
PHOTO = ROOT / "examples" / "seabed.jpg"
MASK = ROOT / "examples" / "seabed-mask.png"
# Around the page's file: as much as nginx needs to run without rights and without its own folders.
MAIN = """
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def nginx_folder() -> Iterator[Path]:
    """Where it puts uploads. Started by root, it works as another user, who can't enter pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="mb-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def proxy(nginx_folder: Path) -> Iterator[dict[str, str]]:
    """nginx with the page's file, whose ports alone are others; the service believes it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("THE DOCUMENTED NGINX IS NOT TESTED: it is not here (apt-get install nginx-light)")
    (block,) = (block for block in blocks_of(PAGE.read_text("utf-8")) if block.language == "nginx")
    http, grpc = free_port(), free_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOEBIUS_TRUSTED_PROXIES", '["127.0.0.1"]')
        patched.setenv("MOEBIUS_DUMMY_STEP_SECONDS", "0.05")
        with serving() as service:
            url = service.await_ready()
            ports = {
                "127.0.0.1:8080": url.removeprefix("http://"),
                "127.0.0.1:50051": f"127.0.0.1:{service.grpc_port()}",
                "listen 80;": f"listen 127.0.0.1:{http};",
                "listen 50052 http2;": f"listen 127.0.0.1:{grpc} http2;",
            }
            server = block.code
            for documented, served in ports.items():
                assert documented in server
                server = server.replace(documented, served)
            config = nginx_folder / "nginx.conf"
            config.write_text(MAIN.format(folder=nginx_folder, server=server))
            command = [program, "-p", str(nginx_folder), "-c", str(config), "-e", "stderr"]
            with subprocess.Popen(command) as process:
                try:
                    until(lambda: process.poll() is not None or (answers(http) and answers(grpc)))
                    assert process.poll() is None
                    yield {"http": f"http://127.0.0.1:{http}", "grpc": f"grpc://127.0.0.1:{grpc}"}
                finally:
                    process.terminate()


def files(photo: bytes | None = None) -> dict[str, bytes]:
    return {"image": photo or PHOTO.read_bytes(), "mask": MASK.read_bytes()}


def test_a_large_upload_goes_through_and_a_larger_one_is_refused_by_the_service(
    proxy: dict[str, str],
) -> None:
    padded = PHOTO.read_bytes() + bytes(8 * 1024 * 1024)  # decoders ignore what follows a JPEG's end
    answer = httpx.post(f"{proxy['http']}/v1/inpaint", files=files(padded), timeout=60)
    assert answer.status_code == 200, answer.text
    too_large = PHOTO.read_bytes() + bytes(31 * 1024 * 1024)
    refused = httpx.post(f"{proxy['http']}/v1/inpaint", files=files(too_large), timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")


def test_events_come_while_the_job_runs(proxy: dict[str, str]) -> None:
    with httpx.Client(base_url=proxy["http"], timeout=60) as client:
        job = client.post("/v1/jobs", files=files(), data={"steps": "100"}).json()["id"]
        with client.stream("GET", f"/v1/jobs/{job}/events") as events:
            lines = events.iter_lines()
            assert any(line == "event: progress" for line in lines)
            assert client.delete(f"/v1/jobs/{job}").json()["status"] == "cancelled"
            assert any(line == "event: cancelled" for line in lines)


def test_the_address_of_a_picture_is_the_proxys(proxy: dict[str, str]) -> None:
    edit = {"prompt": "", "response_format": "url"}
    hole = {"image": ("photo.png", transparent_photo(), "image/png")}
    answer = httpx.post(f"{proxy['http']}/v1/images/edits", files=hole, data=edit, timeout=60)
    assert answer.status_code == 200, answer.text
    url = answer.json()["data"][0]["url"]
    assert url.startswith(f"{proxy['http']}/")
    assert httpx.get(url).status_code == 200


def transparent_photo() -> bytes:
    """The example with its hole rubbed out, as a PNG."""
    photo = Image.open(PHOTO).convert("RGBA")
    photo.putalpha(ImageChops.invert(Image.open(MASK).convert("L")))
    encoded = io.BytesIO()
    photo.save(encoded, "PNG")
    return encoded.getvalue()


def test_grpc_goes_through(proxy: dict[str, str]) -> None:
    with Client(proxy["grpc"]) as client:
        seen = []
        result = client.inpaint(PHOTO, MASK, seed=7, progress=lambda event: seen.append(event.kind))
    assert result.seed == 7
    assert "progress" in seen


def test_metrics_are_not_for_the_world(proxy: dict[str, str]) -> None:
    assert httpx.get(f"{proxy['http']}/metrics").status_code == 403
    assert httpx.get(f"{proxy['http']}/readyz").status_code == 200
