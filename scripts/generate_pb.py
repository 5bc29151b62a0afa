"""Makes service/pb from proto/: messages, services and their types. `--check` compares instead of writing."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.generated_files import differing, write_or_check

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto"
PACKAGE = ROOT / "service" / "pb"
INIT = '"""Generated from proto/ by scripts/generate_pb.py (make proto). Not to be edited."""\n'
# protoc names modules by the path of the .proto file, as if proto/ were on the import path.
FOREIGN_IMPORT = re.compile(r"^(from|import) moebius\b", re.MULTILINE)
OUTPUTS = ("python_out=", "grpc_python_out=", "mypy_out=quiet:", "mypy_grpc_out=quiet:")


def generated() -> dict[Path, str]:
    """What service/pb should hold: text by path below it."""
    with tempfile.TemporaryDirectory() as folder:
        sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
        outputs = [f"--{output}{folder}" for output in OUTPUTS]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *outputs, *sources]
        # The plugins for types lie beside the interpreter.
        subprocess.run(command, check=True, env={"PATH": str(Path(sys.executable).parent)})
        files = {path.relative_to(folder): path for path in Path(folder).rglob("*.py*")}
        texts = {name: importable(path.read_text("utf-8")) for name, path in files.items()}
    for name in list(texts):
        texts.update({parent / "__init__.py": INIT for parent in name.parents})
    return texts


def importable(text: str) -> str:
    """The module's text with imports of its neighbours as service.pb.moebius..."""
    return FOREIGN_IMPORT.sub(r"\1 service.pb.moebius", text)


def present() -> dict[Path, str]:
    """What service/pb holds."""
    files = (path for path in PACKAGE.rglob("*.py*") if path.suffix != ".pyc")
    return {path.relative_to(PACKAGE): path.read_text("utf-8") for path in files}


def differences() -> list[str]:
    """Files of service/pb that are missing, left over or not as protoc makes them."""
    return differing(generated(), present())


def write() -> None:
    """Bring service/pb up to date."""
    wanted = generated()
    for name in present().keys() - wanted.keys():
        (PACKAGE / name).unlink()
    for name, text in wanted.items():
        path = PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def main() -> int:
    """Entry point."""
    complaint = "service/pb/{name} is not what proto/ gives: run make proto"
    return write_or_check(__doc__, write, differences, complaint)


if __name__ == "__main__":
    sys.exit(main())
