"""Moebius: inpainting as a service. Flow: edge -> queue -> worker -> engine -> model."""

import os

__version__ = "0.1.0"

# ONNX Runtime (1.32) reports its use to its maker, unless told not to before anything of ours can import it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
