"""A client of the stack: pictures over HTTP and gRPC, jobs, and Prometheus' answers."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from scripts.compose.stack import ROOT, Stack
from scripts.compose.waiting import CheckError, await_answer

PHOTO = ROOT / "examples" / "seabed.jpg"
MASK = ROOT / "examples" / "seabed-mask.png"
GRPC_CLIENT = ROOT / "examples" / "grpc_inpaint.py"
# Nothing beyond the mask is filled or blended, so that all other pixels must be the photo's.
EXACT = {"dilate": "0", "feather": "0", "output_format": "png"}
PATIENCE = 170.0  # seconds for an answer


class Client:
    """Sends the demo's photo and mask, always with the same seed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx.Client(trust_env=False, timeout=PATIENCE)

    def inpaint(self, **params: str) -> Image.Image:
        """The answer to a synchronous request."""
        answer = self._send("/v1/inpaint", {**EXACT, "timeout": "160", **params})
        return Image.open(io.BytesIO(answer.content))

    def inpaint_over_grpc(self) -> Image.Image:
        """The answer that examples/grpc_inpaint.py writes."""
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "filled.jpg"
            command = [sys.executable, str(GRPC_CLIENT), self._stack.grpc, str(PHOTO), str(MASK)]
            done = subprocess.run(
                [*command, "-o", str(output)], cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CheckError(f"The gRPC client failed: {done.stderr}")
            return Image.open(io.BytesIO(output.read_bytes()))

    def submit(self, **params: str) -> str:
        """The id of a new job."""
        return str(self._send("/v1/jobs", {**EXACT, **params}).json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as the edge tells it."""
        answer = self._http.get(f"{self._stack.http}/v1/jobs/{job_id}")
        if not answer.is_success:
            raise CheckError(f"Asked for job {job_id}, the edge answered {answer.status_code}: {answer.text}")
        document: dict[str, Any] = answer.json()
        return document

    def await_step(self, job_id: str, step: int) -> dict[str, Any]:
        """Wait until a job runs and has done so many denoising steps."""

        def reached() -> dict[str, Any] | None:
            job = self.job(job_id)
            if job["status"] not in ("queued", "running"):
                raise CheckError(f"Job {job_id} should have been caught at work, and is {job['status']}.")
            return job if job["status"] == "running" and job["step"] >= step else None

        return await_answer(f"job {job_id} did {step} steps", reached)

    def await_success(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has succeeded."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            if job["status"] not in ("queued", "running", "succeeded"):
                raise CheckError(f"Job {job_id} is {job['status']}: {job['failure']}")
            return job if job["status"] == "succeeded" else None

        return await_answer(f"job {job_id} succeeded", ended)

    def result(self, job_id: str) -> Image.Image:
        """The picture of a job that has succeeded."""
        answer = self._http.get(f"{self._stack.http}/v1/jobs/{job_id}/result")
        if not answer.is_success:
            raise CheckError(f"Job {job_id} has no picture: {answer.status_code} {answer.text}")
        return Image.open(io.BytesIO(answer.content))

    def query(self, expression: str) -> float | None:
        """The one number that Prometheus answers; None where it answers none or does not answer."""
        try:
            answer = self._http.get(
                f"{self._stack.prometheus}/api/v1/query", params={"query": expression}
            ).raise_for_status()
        except httpx.HTTPError:
            return None
        found = answer.json()["data"]["result"]
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def targets_up(self, job: str) -> int:
        """How many targets of a job Prometheus has scraped at the last try.

        A sum over `up` would for five minutes count those from before Prometheus' own restart as well.
        """
        try:
            answer = self._http.get(f"{self._stack.prometheus}/api/v1/targets").raise_for_status()
        except httpx.HTTPError:
            return 0
        targets = answer.json()["data"]["activeTargets"]
        return sum(each["labels"]["job"] == job and each["health"] == "up" for each in targets)

    def unhealthy_rules(self) -> list[str]:
        """Names of Prometheus' rules that can't be evaluated. CheckError where it has loaded none."""
        answer = self._http.get(f"{self._stack.prometheus}/api/v1/rules").raise_for_status()
        rules = [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]
        if not rules:
            raise CheckError("Prometheus has loaded no rules.")
        return [rule["name"] for rule in rules if rule["health"] == "err"]

    def _send(self, path: str, params: dict[str, str]) -> httpx.Response:
        files = {
            "image": (PHOTO.name, PHOTO.read_bytes(), "image/jpeg"),
            "mask": (MASK.name, MASK.read_bytes(), "image/png"),
        }
        answer = self._http.post(f"{self._stack.http}{path}", files=files, data={"seed": "7", **params})
        if not answer.is_success:
            raise CheckError(f"The edge answered {answer.status_code}: {answer.text}")
        return answer
