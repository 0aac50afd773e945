"""Reads a torch module: which operators a training step runs, what they compute, and what they move.

One step (forward, the sum of the output, backward) runs on tensors without data, twice, at two batch sizes;
each operator that torch dispatches is written down, with the module that it belongs to. What an operator
costs is linear in the batch, so the two readings give it at every batch size. The module itself is not
changed, and nothing is computed, unless its `forward` looks at values: then the two steps are really run.

Floating point operations are counted as `torch.utils.flop_counter` does (tested against it): matrix products
and convolutions; a multiplication and an addition are two. Everything else counts by the bytes that it moves.
A view moves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rung.cluster.scaling.layers import Gradient, Kind, Network, Operator, Work
from rung.cluster.scaling.nested import mapped, resized, tensors
from rung.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_SIZES = (2, 4)  # batch sizes of the two readings: normalisation over a batch needs at least two samples
_FREE = (
    "_unsafe_view",
    "empty",
    "empty_like",
    "new_empty",
    "empty_strided",
    "new_empty_strided",
    "sym_size",
    "_reshape_alias",
)
_WANTS = "write it so that it returns a torch module, or (module, example input)"


class Call(NamedTuple):
    """One operator as it ran."""

    layer: str
    name: str
    kind: Kind
    backward: bool
    work: Work


# -- what operators compute -------------------------------------------------------------------------------


def _product(args: Sequence[Any], out: Any) -> int:
    """Of `mm`, `bmm`: (..., m, k) by (..., k, n)."""
    a, b = args[:2]
    return int(2 * a.numel() * b.shape[-1])


def _added_product(args: Sequence[Any], out: Any) -> int:
    """Of `addmm`, `baddbmm`; as everywhere, what is added is not counted."""
    return _product(args[1:], out)


def _convolution(args: Sequence[Any], out: Any) -> int:
    """Each weight meets each place of the output (transposed: of the input) once."""
    x, weight, transposed = args[0], args[1], args[6]
    places = x if transposed else out
    return int(2 * x.shape[0] * prod(places.shape[2:]) * weight.numel())


def _convolution_backward(args: Sequence[Any], out: Any) -> int:
    """As much as forward for the input's gradient, and for the weights'."""
    gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[-1]
    places = x if transposed else gradient
    once = 2 * x.shape[0] * prod(places.shape[2:]) * weight.numel()
    return int(once * (bool(wanted[0]) + bool(wanted[1])))


def _attention(args: Sequence[Any], out: Any) -> int:
    """Scores and weighted values: q (b, h, s, d), k (b, h, t, d), v (b, h, t, e)."""
    q, k, v = args[:3]
    return int(2 * prod(q.shape[:3]) * k.shape[2] * (q.shape[3] + v.shape[3]))


def _attention_backward(args: Sequence[Any], out: Any) -> int:
    """The scores again, and the gradients of values, of weights, of queries and of keys."""
    q, k, v = args[1:4]
    return int(2 * prod(q.shape[:3]) * k.shape[2] * (3 * q.shape[3] + 2 * v.shape[3]))


def _recurrent(args: Sequence[Any], out: Any) -> int:
    """All steps of a recurrent layer: each weight meets each step of each sample once."""
    x, weights = args[0], [tensor for tensor in tensors(list(args[1:3])) if tensor.ndim == 2]
    return int(2 * x.numel() // x.shape[-1] * sum(tensor.numel() for tensor in weights))


def _recurrent_backward(args: Sequence[Any], out: Any) -> int:
    return 2 * _recurrent(args, out)


_ATTENTION = ("flash", "efficient", "cudnn")
_FLOPS: Mapping[str, tuple[Kind, Callable[[Sequence[Any], Any], int]]] = {
    "mm": (Kind.PRODUCT, _product),
    "bmm": (Kind.PRODUCT, _product),
    "addmm": (Kind.PRODUCT, _added_product),
    "baddbmm": (Kind.PRODUCT, _added_product),
    "convolution": (Kind.CONVOLUTION, _convolution),
    "convolution_backward": (Kind.CONVOLUTION, _convolution_backward),
    "mkldnn_rnn_layer": (Kind.PRODUCT, _recurrent),
    "mkldnn_rnn_layer_backward": (Kind.PRODUCT, _recurrent_backward),
    "_cudnn_rnn": (Kind.PRODUCT, _recurrent),
    "_cudnn_rnn_backward": (Kind.PRODUCT, _recurrent_backward),
    "_scaled_dot_product_flash_attention_for_cpu": (Kind.PRODUCT, _attention),
    "_scaled_dot_product_flash_attention_for_cpu_backward": (Kind.PRODUCT, _attention_backward),
    **{f"_scaled_dot_product_{name}_attention": (Kind.PRODUCT, _attention) for name in _ATTENTION},
    **{
        f"_scaled_dot_product_{name}_attention_backward": (Kind.PRODUCT, _attention_backward)
        for name in _ATTENTION
    },
}


def describe(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> tuple[Kind, Work]:
    """What a call of a torch operator (an `OpOverload`) computes and moves."""
    name = operator.overloadpacket.__name__
    if operator.is_view or operator.namespace == "prim" or name in _FREE:
        return Kind.MEMORY, Work(0.0, 0.0, 0.0)
    kind, flops = _FLOPS.get(name, (Kind.MEMORY, None))
    read = {id(tensor): tensor for tensor in tensors([*args, *kwargs.values()])}
    return kind, Work(
        float(flops(args, _first(out))) if flops else 0.0,
        float(sum(map(_bytes, read.values()))),
        float(sum(map(_bytes, tensors(out)))),
    )


def _first(out: Any) -> Any:
    return next(tensors(out), None)


def _bytes(tensor: Tensor) -> int:
    """Of its numbers; of an expanded one (stride 0) only what there is, of a sparse one what it holds."""
    if tensor.is_sparse:
        return _bytes(tensor._indices()) + _bytes(tensor._values())
    size = int(tensor.numel() * tensor.element_size())
    return min(size, tensor.untyped_storage().nbytes())


# -- running a step ---------------------------------------------------------------------------------------


def watched(note: Callable[..., None]) -> Any:
    """A context in which each operator that torch dispatches is told, once it has run.

    Args:
        note: `note(operator, args, kwargs, out, seconds)`; the time is the call's own, without dispatching.
    """
    import time

    from torch.utils._python_dispatch import TorchDispatchMode

    class Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            began = time.perf_counter()
            out = operator(*args, **(kwargs or {}))
            note(operator, args, kwargs or {}, out, time.perf_counter() - began)
            return out

    return Watched()  # type: ignore[no-untyped-call]


def total(out: Any) -> Tensor:
    """The sum of all that a network returns: a loss that reaches each of its outputs.

    Raises:
        UserError: it returned nothing that has a gradient.
    """
    sums = [tensor.sum() for tensor in tensors(out) if tensor.requires_grad]
    if not sums:
        raise UserError("the module's output has no gradient: nothing is trained in this network")
    return sum(sums[1:], sums[0])


def call(module: Module, example: Any) -> Any:
    """The module's output: an example that is a tuple is its arguments, a mapping its keyword arguments."""
    if isinstance(example, Mapping):
        return module(**example)
    return module(*example) if isinstance(example, tuple) else module(example)


def _read(module: Module, example: Any, batch: int) -> list[Call]:
    """The operators of one step on so many samples, on tensors without data where that can be done."""
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
    )

    given = resized(example, batch)
    try:
        return _step(module, given, FakeTensorMode())
    except (DataDependentOutputException, DynamicOutputShapeException):
        return _step(module, given, None)  # it looks at values


def _step(module: Module, example: Any, fake: Any) -> list[Call]:
    import torch
    from torch.func import functional_call
    from torch.utils.module_tracker import ModuleTracker

    calls = list[Call]()

    class Step(torch.nn.Module):
        """Forward and backward; the first backward operator is noted.

        Parameters are swapped until its end, since a network with checkpoints runs forward in backward again.
        """

        def __init__(self) -> None:
            super().__init__()
            self.of = module

        def forward(self) -> int:
            loss = total(call(self.of, given))
            before = len(calls)
            torch.autograd.backward(loss)
            return before

    def shadow(tensor: Tensor) -> Tensor:
        """The same without data, or, where steps are really run, a copy that may be changed."""
        twin = tensor.detach().clone() if fake is None else fake.from_tensor(tensor.detach())
        return twin.requires_grad_(tensor.requires_grad)

    step, given = Step(), mapped(shadow, example)
    state = {name: shadow(tensor) for name, tensor in [*step.named_parameters(), *step.named_buffers()]}
    tracker: Any = ModuleTracker()

    def note(operator: Any, args: Any, kwargs: Any, out: Any, _: float) -> None:
        kind, work = describe(operator, args, kwargs, out)
        if work.moved or work.flops:
            layer = max(tracker.parents - {"Global"}, key=len, default="")
            layer = layer.removeprefix("Step").removeprefix(".of").removeprefix(".")
            calls.append(Call(layer, operator.overloadpacket.__name__, kind, False, work))

    with fake or nullcontext(), torch.enable_grad(), tracker, watched(note):
        before = functional_call(step, state, ())
    return [one._replace(backward=place >= before) for place, one in enumerate(calls)]


@contextmanager
def _without_torch_log() -> Iterator[None]:
    """Torch prints a traceback for each operator that fails without data; the error says it."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def read_network(module: Module, example: Any) -> Network:
    """The training step of a module, as the module is (training or evaluating).

    Args:
        example: a tensor, a tuple of arguments or a mapping of keyword arguments; the first dimension of each
            tensor is the batch, of any size.

    Raises:
        UserError: a step on the example fails, or does other operators at another batch size.
    """
    try:
        with _without_torch_log():
            small, large = (_read(module, example, size) for size in _SIZES)
    except UserError:
        raise
    except Exception as error:  # whatever the user's module raises
        raise UserError(
            f"a training step of {type(module).__name__} cannot be read: {_line_of(error)}"
        ) from error
    if [(one.name, one.layer) for one in small] != [(one.name, one.layer) for one in large]:
        raise UserError(
            f"{type(module).__name__} runs other operators on {_SIZES[1]} samples than on {_SIZES[0]}: "
            "its time cannot be predicted from its layers (does it loop over samples, or look at values?)"
        )
    operators = (_line(one, other) for one, other in zip(small, large, strict=True))
    gradients = (
        Gradient(name.rpartition(".")[0], tensor.numel(), tensor.numel() * tensor.element_size())
        for name, tensor in module.named_parameters()
        if tensor.requires_grad
    )
    return Network(tuple(operators), tuple(gradients))


def _line(small: Call, large: Call) -> Operator:
    """The operator at every batch size, from two."""
    first, second = _SIZES
    each = Work(*((b - a) / (second - first) for a, b in zip(small.work, large.work, strict=True)))
    fixed = Work(*(a - first * slope for a, slope in zip(small.work, each, strict=True)))
    return Operator(small.layer, small.name, small.kind, small.backward, fixed, each)


def check_torch() -> None:
    """Refuse to go on without torch.

    Raises:
        UserError: it is not installed.
    """
    try:
        import torch  # noqa: F401  # only to see that it is there
    except ImportError as error:
        raise UserError(
            "torch is not installed, and reads the module's layers: pip install 'rung[torch]'"
        ) from error


def built(build: Callable[[], Any] | Module, sizes: Sequence[int] | None) -> tuple[Module, Any]:
    """What the user's `build()` returns, as (module, example input).

    Args:
        build: a function without arguments, or the module itself.
        sizes: of one sample, such as (3, 224, 224), where `build` returns no example.

    Raises:
        UserError: it raises, or returns no module, or there is no example of its input.
    """
    import torch

    name = f"{getattr(build, '__name__', 'build')}()"
    try:
        given = build if isinstance(build, torch.nn.Module) else build()
    except (Exception, SystemExit) as error:  # whatever a user's function raises
        raise UserError(f"{name} raises {type(error).__name__}: {error}: {_WANTS}") from error
    module, example = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{name} returned {type(module).__name__}, no torch module: {_WANTS}")
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    if example is None or sizes is not None:
        if sizes is None:
            raise UserError(
                "what goes into the network? give --input 3,224,224 (one sample), or have "
                f"{name} return (module, example input)"
            )
        example = _example(module, sizes)
    if _first(example) is None:
        raise UserError(f"the example input is {type(example).__name__}, without a tensor: {_WANTS}")
    if any(map(torch.nn.parameter.is_lazy, module.parameters())):
        _made(module, example)
    return module, example


def _example(module: Module, sizes: Sequence[int]) -> Any:
    """Samples of these sizes: numbers, or tokens where numbers do not go in and it looks something up."""
    import torch

    first = next(module.parameters(), torch.zeros(()))
    numbers = torch.randn(_SIZES[0], *sizes, device=first.device, dtype=first.dtype)
    if not any(isinstance(part, torch.nn.Embedding | torch.nn.EmbeddingBag) for part in module.modules()):
        return numbers
    try:
        with torch.no_grad():
            call(module, numbers)
    except (RuntimeError, IndexError, TypeError, ValueError):
        return torch.zeros_like(numbers, dtype=torch.long)
    return numbers


def _made(module: Module, example: Any) -> None:
    """Let the lazy layers of a module find their sizes."""
    import torch

    try:
        with torch.no_grad():
            call(module, example)
    except Exception as error:  # whatever the user's module raises
        raise UserError(f"{type(module).__name__} cannot be run on its example: {_line_of(error)}") from error


def _line_of(error: Exception) -> str:
    """What an exception says, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
