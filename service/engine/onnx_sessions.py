"""Opens the graphs of a stored model as sessions of ONNX Runtime, each prepared for this machine once.

Preparing folds constants (norms, tokens, position filters), converts the U-Net to half precision where that is asked
for, and fuses for the provider. A provider that compiles gets the folded graph, and keeps its programs itself.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime

from service.artifacts import UNET_GRAPH, Manifest
from service.cores import core_count
from service.engine.onnx_cache import GRAPH, GraphCache
from service.engine.onnx_half import convert_to_half
from service.engine.onnx_hardware import describe_cpu, describe_gpu
from service.engine.onnx_providers import RUNTIME_NAMES, InputRange, Options, Provider
from service.errors import ArtifactError
from service.settings import Settings

logger = logging.getLogger(__name__)

FOLDER = "onnxruntime"  # below the settings' cache_dir
ERRORS_ONLY = 3
THREADING = {
    "session.intra_op.allow_spinning": "1",
    "session.force_spinning_stop": "1",
    "session.dynamic_block_base": "4",
}
SMALLEST_APART = "1024"  # bytes; larger tensors lie beside the graph, where the runtime maps them into memory
Level = onnxruntime.GraphOptimizationLevel
ON_THE_CPU: list[tuple[str, Options]] = [(RUNTIME_NAMES["cpu"], {})]


@dataclass(frozen=True, slots=True)
class GraphSessions:
    """What opens the graphs of the model in `folder` on a provider."""

    folder: Path
    manifest: Manifest
    provider: Provider
    settings: Settings

    def open(self, graph: str, inputs: InputRange, *, captures: bool = False) -> Any:
        """A session of one of the model's graphs, on CUDA with CUDA graphs if it `captures`.

        `ArtifactError` if the runtime can't load it or can't use the device.
        """
        start = partial(self._start, inputs=inputs, captures=captures)
        try:
            return self._open_kept(graph, start)
        except (OSError, ArtifactError) as error:
            logger.warning(
                "a prepared graph can't be kept: each start prepares it again",
                extra={"graph": graph, "folder": str(self.settings.cache_dir), "reason": str(error)},
            )
        with tempfile.TemporaryDirectory() as made:
            if self._is_half(graph):
                self._prepare(graph, Path(made) / GRAPH)
                return start(Path(made) / GRAPH, self._level_of_prepared, Path(made))
            return start(self.folder / graph, Level.ORT_ENABLE_ALL, Path(made))

    def _open_kept(self, graph: str, start: Callable[[Path, Any, Path], Any]) -> Any:
        cache = GraphCache(self.settings.cache_dir / FOLDER / self.manifest.name, self._depends_on(graph))
        programs = cache.programs() if self.provider.compiles else cache.folder
        name, make = Path(graph).stem, partial(self._prepare, graph)
        prepared = cache.find_or_make(name, make)
        try:
            return start(prepared, self._level_of_prepared, programs)
        except ArtifactError as error:
            logger.warning("a prepared graph is made again", extra={"graph": graph, "reason": str(error)})
            return start(cache.make_again(name, make), self._level_of_prepared, programs)

    @property
    def _level_of_prepared(self) -> Any:
        return Level.ORT_ENABLE_ALL if self.provider.compiles else Level.ORT_DISABLE_ALL

    def _depends_on(self, graph: str) -> dict[str, str]:
        """All that a prepared graph is made for; another value of any is another graph."""
        gpu = describe_gpu(self.provider.device_index) if self.provider.is_on_gpu else "none"
        return {
            "onnxruntime": onnxruntime.__version__,
            "provider": self.provider.name,
            "precision": "fp16" if self._is_half(graph) else "fp32",
            "model": self.manifest.digest,
            "cpu": describe_cpu(),
            "gpu": gpu,
        }

    def _is_half(self, graph: str) -> bool:
        """The VAE stays in fp32: half precision would cost visible detail, and may overflow."""
        return self.provider.precision == "fp16" and graph == UNET_GRAPH

    def _prepare(self, graph: str, target: Path) -> None:
        """Write the graph as this machine runs it, by up to three passes."""
        passes: list[Callable[[Path, Path], None]] = []
        if self._is_half(graph) or self.provider.compiles:
            passes.append(partial(self._write, level=Level.ORT_ENABLE_BASIC, providers=ON_THE_CPU))
        if self._is_half(graph):
            passes.append(convert_to_half)
        if not self.provider.compiles:
            passes.append(partial(self._write, level=Level.ORT_ENABLE_ALL, providers=self._own_providers()))
        source = self.folder / graph
        with tempfile.TemporaryDirectory(prefix=".passes-", dir=target.parent) as made:
            for number, write in enumerate(passes, start=1):
                written = target if number == len(passes) else Path(made) / f"{number}.onnx"
                write(source, written)
                source = written

    def _own_providers(self) -> list[tuple[str, Options]]:
        """Those that a graph is fused for; what they are told for running it does not matter."""
        nowhere = InputRange({}, {})
        return self.provider.with_options(programs=Path(), threads=1, inputs=nowhere, captures=False)

    def _write(self, source: Path, target: Path, *, level: Any, providers: list[tuple[str, Options]]) -> None:
        """Let the runtime optimise a graph and write what it made of it, large tensors beside it."""
        options = self._options(level)
        options.optimized_model_filepath = str(target)
        options.log_severity_level = ERRORS_ONLY  # it warns that the graph suits this hardware alone
        beside = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{beside}_file_name", f"{target.name}.data")
        options.add_session_config_entry(f"{beside}_min_size_in_bytes", SMALLEST_APART)
        _open(source, options, providers)

    def _start(self, path: Path, level: Any, programs: Path, *, inputs: InputRange, captures: bool) -> Any:
        threads = self._threads
        providers = self.provider.with_options(
            programs=programs, threads=threads, inputs=inputs, captures=captures
        )
        session = _open(path, self._options(level), providers)
        wanted = RUNTIME_NAMES[self.provider.name]
        if wanted not in session.get_providers():
            raise ArtifactError(
                f"ONNX Runtime could not use {self.provider.device} with {wanted}, though it is installed: see its log "
                "above. Check the driver, or use --device cpu."
            )
        return session

    def _options(self, level: Any) -> Any:
        """Threads spin between the nodes of a call and sleep after it: a call is hundreds of nodes, and an idle worker
        costs nothing. Work is cut finer towards a node's end, so that no thread waits long for one that a neighbour
        of this machine disturbs. No plan of memory is kept for each shape: with batches of changing size they add up.
        """
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        for name, value in THREADING.items():
            options.add_session_config_entry(name, value)
        return options

    @property
    def _threads(self) -> int:
        return self.settings.threads or core_count()


def _open(path: Path, options: Any, providers: list[tuple[str, Options]]) -> Any:
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # the runtime's exceptions share no other base
        raise ArtifactError(
            f"ONNX Runtime {onnxruntime.__version__} can't load {path}: {error}. Upgrade onnxruntime, or "
            "fetch or export the model again."
        ) from error
