"""Writes src/berth/types.py from the API's document: python generate_types.py"""

import json
import keyword
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "openapi.json"
TARGET = HERE / "src" / "berth" / "types.py"
# What the client sends and reads; what these name comes with them.
ROOTS = (
    "Artifact",
    "CancelJobs",
    "Dataset",
    "DatasetRequest",
    "Estimate",
    "Event",
    "Explanation",
    "Job",
    "JobBatchItem",
    "JobSpec",
    "LogLine",
    "Point",
    "Problem",
    "Series",
    "Trade",
)
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
HEAD = '''"""Made from openapi.json by generate_types.py: change neither by hand."""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
'''

Schema = dict[str, Any]


class Writer:
    """Collects the definitions in an order in which each one stands after those that it names."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self.schemas = schemas
        self.definitions: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def component(self, name: str) -> str:
        if name not in self.definitions:
            self.definitions[name] = ""  # a place for what names itself
            schema = self.schemas[name]
            if "properties" in schema:
                self.typed_dict(name, schema)
            else:
                written = self.type_of(schema, name)
                del self.definitions[name]
                self.definitions[name] = f"{name}: TypeAlias = {written}\n"
        return name

    def typed_dict(self, name: str, schema: Schema) -> None:
        required = set(schema.get("required", ()))
        fields = {}
        for field, inner in schema["properties"].items():
            written = self.type_of(inner, name + camel(field))
            fields[field] = written if field in required else f"NotRequired[{written}]"
        if all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
            body = "".join(f"    {field}: {written}\n" for field, written in fields.items())
            text = f"class {name}(TypedDict):\n{body}"
        else:
            body = "".join(f"        {json.dumps(field)}: {written},\n" for field, written in fields.items())
            text = f'{name} = TypedDict(\n    "{name}",\n    {{\n{body}    }},\n)\n'
        self.definitions.pop(name, None)
        self.definitions[name] = text

    def type_of(self, schema: Schema, name: str) -> str:
        if "$ref" in schema:
            return self.component(schema["$ref"].rsplit("/", 1)[1])
        if "enum" in schema:
            return literal(schema["enum"])
        for union in ("oneOf", "anyOf"):
            if union in schema:
                found = [self.type_of(one, branch(one, name, n)) for n, one in enumerate(schema[union], 1)]
                return union_of(found)
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return union_of([self.kind(kind, schema, name) for kind in kinds]) or "Any"

    def kind(self, kind: str, schema: Schema, name: str) -> str:
        if kind == "array":
            return f"list[{self.type_of(schema.get('items') or {}, name + 'Item')}]"
        if kind != "object":
            return SCALARS[kind]
        if "properties" not in schema:
            more = schema.get("additionalProperties")
            return f"dict[str, {self.type_of(more, name + 'Value') if isinstance(more, dict) else 'Any'}]"
        # The same object in two places is one type.
        known = json.dumps([schema["properties"], schema.get("required")], sort_keys=True)
        if known not in self.names:
            self.names[known] = name
            self.typed_dict(name, schema)
        return self.names[known]


def camel(field: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in field.replace("-", "_").split("_"))


def branch(schema: Schema, name: str, number: int) -> str:
    """A branch of a union is called by its kind, method or name where it has one."""
    for field in ("kind", "method", "name"):
        values = schema.get("properties", {}).get(field, {}).get("enum", ())
        if len(values) == 1 and isinstance(values[0], str):
            return name + camel(values[0])
    return f"{name}{number}"


def union_of(found: list[str]) -> str:
    parts = dict.fromkeys(part for one in found for part in ([one] if "[" in one else one.split(" | ")))
    return " | ".join(sorted(parts, key=lambda part: part == "None"))


def literal(values: list[Any]) -> str:
    written = ", ".join(
        json.dumps(value) if isinstance(value, str) else repr(value) for value in values if value is not None
    )
    found = [f"Literal[{written}]"] if written else []
    return " | ".join([*found, *(["None"] if None in values else [])])


def generate(document: Schema) -> str:
    writer = Writer(document["components"]["schemas"])
    for root in ROOTS:
        writer.component(root)
    return HEAD + "".join(f"\n\n{text}" for text in writer.definitions.values())


if __name__ == "__main__":
    TARGET.write_text(generate(json.loads(DOCUMENT.read_text(encoding="utf-8"))), encoding="utf-8")
    print(TARGET)
