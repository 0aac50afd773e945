"""What is fitted to timed steps, and processes that measure together."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rung.cluster.scaling.calibrating import Measured, Timed, fitted, time_steps  # noqa: E402
from rung.cluster.scaling.hardware import Device, Hardware  # noqa: E402
from rung.cluster.scaling.layers import Kind, Work  # noqa: E402
from rung.cluster.scaling.measuring import fastest, measure, together  # noqa: E402
from rung.cluster.scaling.predict import Training, predict  # noqa: E402
from rung.cluster.scaling.tracing import read_network  # noqa: E402
from rung.errors import UserError  # noqa: E402

DEVICE = Device("one", {"float32": 1e11}, 1e10)


def timed(kind: Kind, flops: float, moved: float, part: float = 1.0) -> Timed:
    """An operator of a device that achieves half of its memory's bandwidth and takes 5 us for a call."""
    return Timed(kind, Work(flops, moved, 0.0), flops / 1e11 / part + moved / 5e9 + 5e-6)


def test_parts_of_the_peak_are_found_again() -> None:
    operators = (
        *(timed(Kind.MEMORY, 0.0, moved) for moved in (4.0, 1e3, 1e5, 1e6, 8e6)),
        *(timed(Kind.CONVOLUTION, flops, 1e5, 0.25) for flops in (1e6, 1e8)),
        *(timed(Kind.PRODUCT, flops, 2e5, 0.75) for flops in (1e7, 1e8)),
    )
    seconds = sum(one.seconds for one in operators)
    device = fitted(
        DEVICE, [Measured(operators, seconds + 9 * 2e-6), Measured(operators, seconds + 9 * 2e-6)]
    )
    assert device.part("memory") == pytest.approx(0.5)
    assert device.part("convolution") == pytest.approx(0.25)
    assert device.part("product") == pytest.approx(0.75)
    assert device.overhead == pytest.approx(7e-6)
    assert (device.peak, device.memory_bandwidth) == (DEVICE.peak, DEVICE.memory_bandwidth)


def test_products_faster_than_their_bytes_still_compute() -> None:
    quick = Timed(Kind.PRODUCT, Work(1e6, 1e9, 0.0), 1e-3)
    device = fitted(DEVICE, [Measured((quick,), 1e-3)])
    assert device.part("product") == pytest.approx(1e6 / 1e11 / (0.05 * 1e-3))
    assert device.part("memory") == 0.8  # nothing was seen of it


def test_a_module_without_values_is_not_timed() -> None:
    with pytest.raises(UserError, match="build it on a real device, not on 'meta'"):
        time_steps(nn.Linear(4, 4, device="meta"), torch.zeros(2, 4, device="meta"), 2)


def test_a_predicted_step_is_the_one_it_was_fitted_to() -> None:
    module = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64), nn.BatchNorm1d(64))
    example = torch.randn(2, 64)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    measured = time_steps(module, example, 128, steps=3)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    network = read_network(module, example)
    assert len(measured.operators) == len(network.operators)
    products = [one for one in measured.operators if one.kind is Kind.PRODUCT]
    assert sum(one.work.flops for one in products) == network.flops(128)
    device = fitted(DEVICE, [measured])
    (point,) = predict(network, Training(128), Hardware(device), [1])
    assert point.step == pytest.approx(measured.step, rel=0.5)  # least squares, and an update beside it


def test_the_best_repetition_is_as_long_as_its_slowest_process() -> None:
    assert fastest([[[3.0, 1.0], [5.0, 9.0]], [[2.0, 4.0], [6.0, 7.0]]]) == [3.0, 6.0]


def test_processes_form_a_group_and_answer_in_order() -> None:
    assert together(2, pow, (2,)) == [0, 1]


@pytest.mark.long
def test_a_failure_in_a_process_is_told() -> None:
    with pytest.raises(UserError, match="ZeroDivisionError"):
        together(1, divmod, (0,))


@pytest.mark.long
def test_this_machine_can_be_measured() -> None:
    hardware: Any = measure(2)
    assert hardware.per_machine == 2
    assert 1e8 < hardware.device.peak["float32"] < 1e14
    assert 1e7 < hardware.inside.bandwidth < hardware.device.memory_bandwidth < 1e13
    assert 0 < hardware.inside.latency < 1
    assert 0 < hardware.device.overhead < 1e-2


def test_there_must_be_something_to_measure() -> None:
    with pytest.raises(UserError, match="at least 1"):
        measure(0)
