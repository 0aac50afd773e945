"""What a model file may name: decided before anything that it names is built.

A skops file names classes and functions; loading looks them up, and fills or calls them with the file's
state. So a function of a trusted package is not trusted for that: a crafted file could have it called with
any argument (numpy alone has functions that run text as code). Each of skops' ways of rebuilding is allowed
the names that it can do nothing with but hold state: see `_RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from rung.errors import DataError
from rung.tabular.skops_loading import load_skops

PACKAGES: Final = ("rung.tabular", "numpy", "scipy", "sklearn", "lightgbm", "xgboost", "catboost")
"""Packages whose classes may be filled with state."""
FUNCTIONS: Final = (
    "sklearn.utils.validation.check_array",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
)
"""Functions that may be named, beside numpy's and scipy's ufuncs: whatever they are called with, they do no
harm.
"""
LOSSES: Final = (
    "_loss.CyAbsoluteError",
    "_loss.CyExponentialLoss",
    "_loss.CyHalfBinomialLoss",
    "_loss.CyHalfGammaLoss",
    "_loss.CyHalfMultinomialLoss",
    "_loss.CyHalfPoissonLoss",
    "_loss.CyHalfSquaredError",
    "_loss.CyHalfTweedieLoss",
    "_loss.CyHalfTweedieLossIdentity",
    "_loss.CyHuberLoss",
    "_loss.CyPinballLoss",
)
"""scikit-learn's losses as its versions before 1.9 call them: without the package they are in."""
_UNFIT: Final = (
    "tests",
    "testing",
    "_testing",
    "conftest",
    "f2py",
    "distutils",
    "ctypeslib",
    "datasets",
    "__main__",
)
_CONTAINERS: Final = (
    "builtins.dict",
    "builtins.list",
    "builtins.tuple",
    "builtins.set",
    "collections.OrderedDict",
)


class Use(NamedTuple):
    """A class or function that a file names, and the node of skops that would rebuild it."""

    name: str
    loader: str


def uses(schema: Any) -> Iterator[Use]:
    """Every name in all nodes of a skops schema."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if "__loader__" in node:
                yield Use(f"{node.get('__module__')}.{node.get('__class__')}", str(node["__loader__"]))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def refused(found: Iterable[Use], trusted: set[str]) -> list[str]:
    """The names, sorted, that are neither harmless nor trusted by name."""
    return sorted({use.name for use in set(found) if use.name not in trusted and not harmless(use)})


def harmless(use: Use) -> bool:
    """Whether rebuilding it in that way can do nothing but hold state."""
    rule = _RULES.get(use.loader)
    return rule is not None and rule(use.name)


def trusted_names(trust: Sequence[str]) -> set[str]:
    """What the caller trusts, and what installed plug-ins declare."""
    return {*trust, *declared_by_plugins()}


def _class_of(*packages: str) -> Callable[[str], bool]:
    """Tells whether a name is that of a class of these packages; imports its module if it is in one of
    them.
    """

    def rule(name: str) -> bool:
        module, _, attribute = name.rpartition(".")
        parts = module.split(".")
        inside = any(module == package or module.startswith(f"{package}.") for package in packages)
        return inside and not set(parts) & set(_UNFIT) and _is_class(module, attribute)

    return rule


def _is_class(module: str, attribute: str) -> bool:
    from importlib import import_module

    try:
        return isinstance(getattr(import_module(module), attribute, None), type)
    except ImportError as error:
        package = module.split(".")[0]
        raise DataError(
            f"the model needs {package}, which cannot be imported ({error}); install it"
        ) from error


def _one_of(*names: str) -> Callable[[str], bool]:
    return names.__contains__


def _container(name: str) -> bool:
    return name in _CONTAINERS or _class_of("rung.tabular", "sklearn")(name)


def _loss(name: str) -> bool:
    return name in LOSSES or _class_of("sklearn")(name)


def _function(name: str) -> bool:
    return name in FUNCTIONS or name in _skops_names("NUMPY_UFUNC", "SCIPY_UFUNC")


def _plain_type(name: str) -> bool:
    return name in _CONTAINERS or name in _skops_names("PRIMITIVE", "CONTAINER", "NUMPY_DTYPE")


def _array(name: str) -> bool:
    return name == "numpy.ndarray" or name in _skops_names("NUMPY_DTYPE")


@cache
def _skops_names(*lists: str) -> frozenset[str]:
    """Names that skops trusts by itself."""
    load_skops()
    from skops.io import _trusted_types as own

    return frozenset(name for which in lists for name in getattr(own, f"{which}_TYPE_NAMES"))


_RULES: Final[Mapping[str, Callable[[str], bool]]] = {
    "JsonNode": lambda name: True,  # json.loads, whatever the name
    "DictNode": _container,
    "ListNode": _container,
    "TupleNode": _container,
    "SetNode": _container,
    "DefaultDictNode": _one_of("collections.defaultdict"),
    "BytesNode": _one_of("builtins.bytes"),
    "BytearrayNode": _one_of("builtins.bytearray"),
    "SliceNode": _one_of("builtins.slice"),
    "TypeNode": _plain_type,
    "FunctionNode": _function,
    "PartialNode": _one_of("functools.partial"),  # its function and arguments are nodes of their own
    "ObjectNode": _class_of(*PACKAGES),
    "NdArrayNode": _array,
    "MaskedArrayNode": _one_of("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"),
    "RandomStateNode": _class_of("numpy"),
    "RandomGeneratorNode": _class_of("numpy"),
    "DTypeNode": _one_of("numpy.dtype"),
    "SparseMatrixNode": _class_of("scipy"),
    "ReduceNode": _class_of("sklearn"),
    "TreeNode": _class_of("sklearn"),
    "LossNode": _loss,
    "ConstructorFromReduceNode": _class_of("sklearn"),
}
"""For each way of rebuilding: the names that may be rebuilt so. Bound methods and functions of `operator`
have no
rule: they are refused."""


@cache
def declared_by_plugins() -> frozenset[str]:
    """Types that installed learners declare: `trusted` of the objects under the entry point
    rung.learners.
    """
    from importlib.metadata import entry_points

    declared: set[str] = set()
    for point in entry_points(group="rung.learners"):
        try:
            declared.update(map(str, getattr(point.load(), "trusted", ())))
        except (ImportError, AttributeError, TypeError) as error:
            import warnings

            warnings.warn(
                f"the plug-in {point.name} cannot be loaded ({error}); it is left out", stacklevel=2
            )
    return frozenset(declared)
