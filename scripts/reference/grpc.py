"""docs/reference/grpc.md from proto/: methods, messages and enums with their comments."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from scripts.reference.tables import code, table, words

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
SOURCE = "moebius/v1/inpaint.proto"
BEGINNING = """# gRPC

The interface is [proto/moebius/v1/inpaint.proto](../../proto/moebius/v1/inpaint.proto), package `moebius.v1`; the
standard health and reflection services are beside it. [How to call it](../how-to/grpc.md) from Python, Go and Node.

"""
# Numbers of fields in descriptor.proto, of which the paths of comments are made.
MESSAGES, ENUMS, SERVICES, FIELDS, VALUES, METHODS = 4, 5, 6, 2, 2, 2
Path_ = tuple[int, ...]
Comments = Mapping[Path_, str]


def page() -> str:
    """The page."""
    described = described_file()
    comments = {tuple(place.path): place.leading_comments for place in described.source_code_info.location}
    parts = [*services(described, comments), *messages(described, comments), *enums(described, comments)]
    return BEGINNING + "\n".join(parts)


def described_file() -> FileDescriptorProto:
    """The file as protoc understands it, with its comments."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "described.binpb"
        command = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={PROTO}",
            "--include_source_info",
        ]
        subprocess.run([*command, f"--descriptor_set_out={output}", SOURCE], check=True)
        (described,) = FileDescriptorSet.FromString(output.read_bytes()).file
    return described


def services(described: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    """Each service with its methods."""
    for index, service in enumerate(described.service):
        path = (SERVICES, index)
        head = f"## {service.name}\n\n{told(comments, path)}\n\n"
        yield head + table(("method", "takes", "answers", "meaning"), methods(service, comments, path))


def methods(service: ServiceDescriptorProto, comments: Comments, path: Path_) -> Iterator[Sequence[str]]:
    """A row for each method."""
    for index, method in enumerate(service.method):
        takes = f"{'stream of ' if method.client_streaming else ''}{linked(method.input_type)}"
        answers = f"{'stream of ' if method.server_streaming else ''}{linked(method.output_type)}"
        yield code(method.name), takes, answers, told(comments, (*path, METHODS, index))


def messages(described: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    """Each message with its fields."""
    for index, message in enumerate(described.message_type):
        path = (MESSAGES, index)
        fields = list(rows_of(message, comments, path))
        yield f"## {message.name}\n\n{told(comments, path)}\n" + (
            "\n" + table(("field", "type", "meaning"), fields) if fields else ""
        )


def rows_of(message: DescriptorProto, comments: Comments, path: Path_) -> Iterator[Sequence[str]]:
    """A row for each field."""
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for index, field in enumerate(message.field):
        entry = maps.get(field.type_name.rpartition(".")[2])
        kind = f"map of {entry.field[0].name} to {type_of(entry.field[1])}" if entry else type_of(field)
        if field.label == FieldDescriptorProto.LABEL_REPEATED and entry is None:
            kind = f"list of {kind}"
        if field.HasField("oneof_index") and not field.proto3_optional:
            kind = f"one of `{message.oneof_decl[field.oneof_index].name}`: {kind}"
        yield code(field.name), kind, told(comments, (*path, FIELDS, index))


def type_of(field: FieldDescriptorProto) -> str:
    """The type of a field, optional where its absence can be told."""
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    kind = linked(field.type_name) if field.type_name else code(name)
    return f"optional {kind}" if field.proto3_optional else kind


def linked(type_name: str) -> str:
    """A type; those of this file lead to their parts of the page."""
    name = type_name.rpartition(".")[2]
    return f"[{name}](#{name.lower()})" if type_name.startswith(".moebius.") else code(type_name.lstrip("."))


def enums(described: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    """Each enum with its values."""
    for index, enum in enumerate(described.enum_type):
        path = (ENUMS, index)
        values = rows_of_values(enum, comments, path)
        yield f"## {enum.name}\n\n{told(comments, path)}\n\n" + table(("value", "number", "meaning"), values)


def rows_of_values(enum: EnumDescriptorProto, comments: Comments, path: Path_) -> Iterator[Sequence[str]]:
    """A row for each value."""
    for index, value in enumerate(enum.value):
        yield code(value.name), str(value.number), told(comments, (*path, VALUES, index))


def told(comments: Comments, path: Path_) -> str:
    """The comment before what lies at `path`."""
    return words(comments.get(path, ""))
