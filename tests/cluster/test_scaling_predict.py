"""Times of steps and of communication: by hand, and against figures of Paleo's public code."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest

from rung.cluster.scaling.communication import SCHEMES, all_reduce_seconds, levels
from rung.cluster.scaling.compute import operator_seconds, pass_seconds, ready_after, update_seconds
from rung.cluster.scaling.hardware import Device, Hardware, Link, load_hardware
from rung.cluster.scaling.layers import Gradient, Kind, Network, Operator, Work
from rung.cluster.scaling.predict import Training, most_devices, predict, speedups
from rung.errors import UserError

DEVICE = Device(
    "one",
    {"float32": 1e12, "float16": 4e12},
    1e11,
    0.0,
    dict.fromkeys(("convolution", "product", "memory", "communication"), 1.0),
)
HARDWARE = Hardware(DEVICE, 1, Link(1e10), Link(1e9))


def operator(
    layer: str, flops: float, moved: float, backward: bool = False, kind: Kind = Kind.PRODUCT
) -> Operator:
    return Operator(layer, "mm", kind, backward, Work(0.0, 0.0, 0.0), Work(flops, moved, 0.0))


NETWORK = Network(
    (
        operator("a", 1e9, 1e6),
        operator("b", 2e9, 1e6),
        operator("b", 4e9, 1e6, backward=True),
        operator("a", 2e9, 1e6, backward=True),
    ),
    (Gradient("a", 1000, 4000), Gradient("b", 250_000, 1_000_000)),
)

# milliseconds of Paleo's classes OneToAll, TreeAllReduce and ButterflyAllReduce (paleo/comm.py), run on the
# gradients of its AlexNet over 20 Gbit/s of which 0.72 are achieved, and of its VGG-16 with all of the link
PALEO = {
    (50_303_912, 0.72, 2): (223.573, 223.573, 111.786),
    (50_303_912, 0.72, 8): (1565.011, 670.719, 335.359),
    (50_303_912, 0.72, 128): (28393.764, 1565.011, 782.505),
    (138_357_544, 1.0, 16): (6641.162, 1770.977, 885.488),
    (23_734_312, 1.0, 4): (227.849, 151.9, 75.95),
}


@pytest.mark.parametrize("given", PALEO)
def test_schemes_are_those_of_paleos_code(given: tuple[int, float, int]) -> None:
    parameters, part, devices = given
    device = msgspec.structs.replace(DEVICE, achieved={"communication": part})
    hardware = Hardware(device, 1, Link(2.5e9), Link(2.5e9))
    ours = [
        1e3 * all_reduce_seconds(4 * parameters, devices, hardware, name)
        for name in ("server", "tree", "butterfly")
    ]
    assert ours == pytest.approx(PALEO[given], rel=1e-5)


def test_the_ring_sends_each_byte_nearly_twice() -> None:
    hardware = Hardware(DEVICE, 1, Link(1e10), Link(1e9, 1e-3))
    assert all_reduce_seconds(8e9, 4, hardware) == pytest.approx(2 * 3 * (8e9 / 4 / 1e9 + 1e-3))
    assert all_reduce_seconds(1e9, 10**6, HARDWARE) == pytest.approx(2.0, rel=1e-5)
    assert all_reduce_seconds(1e9, 1, HARDWARE) == all_reduce_seconds(0, 8, HARDWARE) == 0.0


def test_inside_a_machine_the_link_is_the_fast_one() -> None:
    hardware = Hardware(DEVICE, 4, Link(1e10), Link(1e9))
    for scheme in SCHEMES:
        inside, alone = (all_reduce_seconds(1e9, 4, one, scheme) for one in (hardware, HARDWARE))
        assert inside == pytest.approx(alone / 10)
        assert all_reduce_seconds(1e9, 8, hardware, scheme) > 5 * inside
    assert all_reduce_seconds(1e9, 8, hardware, "tree") == pytest.approx(2 * (2 * 0.1 + 1.0))


def test_levels_are_whole_logarithms() -> None:
    assert [levels(n) for n in (1, 2, 3, 4, 5, 8, 9, 1024)] == [0, 1, 2, 2, 3, 3, 4, 10]


def test_an_operator_takes_reading_computing_and_writing() -> None:
    one = Operator("a", "mm", Kind.PRODUCT, False, Work(0.0, 1e6, 0.0), Work(1e9, 1e6, 2e6))
    assert operator_seconds(one, 10, DEVICE) == pytest.approx(1e10 / 1e12 + (1e6 + 10 * 3e6) / 1e11)
    half = msgspec.structs.replace(DEVICE, achieved={"product": 0.5, "memory": 0.25}, overhead=1e-3)
    assert operator_seconds(one, 10, half) == pytest.approx(1e-3 + 2e-2 + 4 * 3.1e7 / 1e11)
    assert operator_seconds(one, 10, DEVICE, "float16") == pytest.approx(1e10 / 4e12 + 3.1e7 / 2 / 1e11)
    moving = msgspec.structs.replace(one, kind=Kind.MEMORY)
    assert operator_seconds(moving, 10, DEVICE) == pytest.approx(3.1e7 / 1e11)


def test_a_step_is_the_sum_of_its_parts() -> None:
    (one,) = predict(NETWORK, Training(10), HARDWARE, [1])
    assert (one.forward, one.backward) == pytest.approx((3e10 / 1e12 + 2e7 / 1e11, 6e10 / 1e12 + 2e7 / 1e11))
    assert one.update == pytest.approx(3 * 1_004_000 / 1e11)
    assert update_seconds(NETWORK, DEVICE, "adam") == pytest.approx(7 / 3 * one.update)
    assert one.throughput == pytest.approx(10 / one.step)
    assert (one.speedup, one.efficiency, one.communication) == (1.0, 1.0, 0.0)


def test_strong_scaling_splits_the_batch_and_weak_scaling_does_not() -> None:
    strong = predict(NETWORK, Training(10), HARDWARE, [4, 1])
    assert [(p.devices, p.batch, p.machines) for p in strong] == [(1, 10, 1), (4, 3, 4)]
    reduced = 2 * 3 * 1_004_000 / 4 / 1e9
    assert strong[1].communication == pytest.approx(reduced)
    assert strong[1].speedup == pytest.approx(strong[0].step / strong[1].step)
    weak = predict(NETWORK, Training(10, weak=True), HARDWARE, [1, 4])
    assert weak[1].batch == 10
    assert weak[1].compute == pytest.approx(weak[0].compute)
    assert weak[1].throughput == pytest.approx(40 / (weak[0].compute + reduced))
    assert weak[1].efficiency > strong[1].efficiency


def test_overlap_hides_what_is_ready_early() -> None:
    _, backward = pass_seconds(NETWORK, 10, DEVICE)
    ready = ready_after(NETWORK, 10, DEVICE)
    assert [size for _, size in ready] == [1_000_000, 4000]
    assert ready[-1][0] == pytest.approx(backward)
    large = Network(NETWORK.operators, (Gradient("a", 1, 2**24), Gradient("b", 1, 2**25)))
    plain, hidden = (
        predict(large, Training(10, weak=True, overlap=o), HARDWARE, [2])[0] for o in (False, True)
    )
    first, second = (all_reduce_seconds(2**n, 2, HARDWARE) for n in (25, 24))
    moment = ready_after(large, 10, DEVICE)[0][0]
    assert hidden.communication == pytest.approx(max(moment + first, backward) + second - backward)
    assert plain.communication == pytest.approx(first + second)
    assert hidden.communication < plain.communication


def test_the_number_of_devices_for_an_efficiency() -> None:
    points = predict(NETWORK, Training(64), HARDWARE, [1, 2, 4, 8, 16, 32, 64])
    assert all(a.efficiency > b.efficiency for a, b in pairwise(points))
    assert most_devices(points, points[3].efficiency) == 8
    assert most_devices(points, points[3].efficiency + 1e-9) == 4
    assert most_devices(points[1:], 1.0) == 1
    assert speedups(points[1:])[1] == 1.0
    assert speedups(points)[4] == points[2].speedup


def test_shape_of_the_published_curves() -> None:
    """Inception, with most work for a parameter, scales best; AlexNet, with least, is bound by sending."""

    def curve(parameters: float, gflop: float) -> list[float]:
        step = (operator("all", gflop * 1e9, 0.0), operator("all", 2 * gflop * 1e9, 0.0, backward=True))
        network = Network(step, (Gradient("all", round(parameters), 4 * round(parameters)),))
        hardware = Hardware(load_hardware("k80").device, 1, Link(2.5e9), Link(2.5e9))
        return [p.efficiency for p in predict(network, Training(256, scheme="tree"), hardware, [2, 4, 8, 16])]

    inception, vgg, alexnet = curve(23.8e6, 11.4), curve(138.4e6, 30.9), curve(61.1e6, 1.43)
    assert all(a > b > c for a, b, c in zip(inception, vgg, alexnet, strict=True))
    assert inception[0] > 0.9
    assert 16 * alexnet[-1] < 1.0


def test_bad_settings_are_sentences() -> None:
    for training, devices, words in [
        (Training(4), [8], "cannot be split over 8"),
        (Training(0), [1], "batch must be"),
        (Training(4), [], "at least 1"),
        (Training(4), [0], "at least 1"),
        (Training(4, scheme="star"), [2], "ring, tree"),
        (Training(4, optimizer="lamb"), [1], "sgd, momentum"),
        (Training(4, precision="int8"), [1], "float32, float16"),
    ]:
        with pytest.raises(UserError, match=words):
            predict(NETWORK, training, HARDWARE, devices)
    assert math.isfinite(predict(NETWORK, Training(4, precision="float16"), HARDWARE, [2])[0].step)
