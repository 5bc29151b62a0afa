"""Pictures in and out: decode, mask, crops around the hole, compose, encode. Pillow, NumPy and SciPy.

SciPy asks at its import for every public name of NumPy, and so loads NumPy's Fortran and test tools: 12 MB that an
edge can't spare. They are not among the names while it does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy

UNUSED = frozenset({"f2py", "testing"})


@contextmanager
def _fewer_names_of_numpy() -> Iterator[None]:
    module = vars(numpy)
    listed, names = module["__all__"], module["__dir__"]
    module["__all__"] = [name for name in listed if name not in UNUSED]
    module["__dir__"] = lambda: [name for name in names() if name not in UNUSED]
    try:
        yield
    finally:
        module["__all__"], module["__dir__"] = listed, names


with _fewer_names_of_numpy():
    import scipy.ndimage  # noqa: F401 - imported for the way it is
