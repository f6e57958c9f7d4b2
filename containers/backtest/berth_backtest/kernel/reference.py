"""A NamedTuple of arrays that compiled functions pass on as one pointer.

Passed as it is, each field of each array would go from call to call, hundreds of words. A reference is one
word, nothing counts who holds it, and what it points to never changes: a field is read once and stays in
a register, whatever is written to the arrays in between.
"""

from typing import Any

import numba
from llvmlite import ir
from numba.core import typing
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from .vectors import BYTE, code

NUMBER = ir.IntType(32)


class Reference(numba.types.Type):
    """The type of a reference to a NamedTuple of type `held`."""

    def __init__(self, held: Any) -> None:
        self.held = held
        super().__init__(f"Reference({held})")


@register_model(Reference)
class ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, BYTE.as_pointer())  # type: ignore[no-untyped-call]


@infer_getattr
class ReferenceFields(typing.templates.AttributeTemplate):
    key = Reference

    def generic_resolve(self, kind: Any, name: str) -> Any:  # type: ignore[override]
        return dict(zip(kind.held.fields, kind.held.types, strict=True)).get(name)


@lower_getattr_generic(Reference)  # type: ignore[no-untyped-call, untyped-decorator]
def read_field(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    """Builds the code that reads a field: of an array its own fields, without an owner."""
    number = kind.held.fields.index(name)
    field = kind.held.types[number]
    place = builder.bitcast(value, context.get_value_type(kind.held).as_pointer())
    if not isinstance(field, numba.types.Array):
        return _read(builder, place, number)
    model = context.data_model_manager[field]
    array = context.make_array(field)(context, builder)
    array.meminfo = array.meminfo.type(None)
    array.parent = array.parent.type(None)
    for part in ("nitems", "itemsize", "data"):
        setattr(array, part, _read(builder, place, number, model.get_field_position(part)))
    for part in ("shape", "strides"):
        at = model.get_field_position(part)
        words = [_read(builder, place, number, at, i) for i in range(field.ndim)]
        setattr(array, part, code.pack_array(builder, words))
    return array._getvalue()


def _read(builder: Any, place: Any, *path: int) -> Any:
    load = builder.load(builder.gep(place, [NUMBER(0), *[NUMBER(at) for at in path]], inbounds=True))
    load.set_metadata("invariant.load", builder.module.add_metadata([]))
    return load


def refer(_typing: Any, held: Any) -> Any:
    """Builds the code of jit.by_reference: the tuple in the calling function's memory, and where that is."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        place = builder.bitcast(code.alloca_once_value(builder, values[0]), BYTE.as_pointer())
        # What this code does, nothing, the compiler cannot know: it reads no field before all are there.
        kind = ir.FunctionType(place.type, [place.type])
        return builder.asm(kind, "", "=r,0,~{memory}", [place], side_effect=True)

    return Reference(held)(held), build
