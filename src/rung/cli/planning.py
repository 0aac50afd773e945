"""What `rung plan` does with its options: reads the module, predicts, and shows the curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from rung.cli import output
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.analysis.charts import Chart
    from rung.cluster.scaling.hardware import Hardware
    from rung.cluster.scaling.layers import Network
    from rung.cluster.scaling.predict import Point, Training

_BAR = 24  # characters of a speed-up that is as good as it can be
_TOO_GOOD = 1.25  # parts of a peak that no noise explains
_SHOWN = 8  # layers that `-v` shows


class Options(NamedTuple):
    """The options of `rung plan`, as they were typed; see there."""

    module: str | None
    batch: int
    devices: str
    hardware: str
    input: str | None
    efficiency: float
    weak: bool
    scheme: str
    overlap: bool
    optimizer: str
    precision: str
    per_machine: int | None
    inside: str | None
    between: str | None
    measure: bool
    calibrate: bool
    plot: Path | None
    json: bool


def planned(options: Options) -> None:
    """Measure, if wanted; then predict and show the curve, if a module is named."""
    from rung.analysis.plotting import check_ending
    from rung.cluster.scaling.predict import Training, predict

    counts = whole_numbers("--devices", options.devices)
    if options.module is None and not options.measure:
        raise UserError("name the module, as in model.py:build, or measure this machine: --measure")
    if options.measure:
        _measure(Path(options.hardware), options.json)
        if options.module is None:
            return
    if options.plot is not None:
        from rung.cli.begin import check_writable

        check_ending(options.plot)
        check_writable(options.plot, "--plot")
    training = Training(
        options.batch,
        options.weak,
        options.scheme,
        options.overlap,
        options.optimizer,
        options.precision,
    )
    hardware = _hardware(options)
    network, hardware = _network(options, counts, hardware)
    points = predict(network, training, hardware, counts)
    if options.json:
        _print_json(options, training, hardware, network, points)
    else:
        _show(options, training, hardware, network, points)
    if options.plot is not None:
        from rung.analysis.plotting import save

        save(curve(points, options.efficiency, training), options.plot)
        output.say(f"the curve is in {options.plot}")


def whole_numbers(option: str, text: str) -> list[int]:
    """The numbers of a list such as "1,2,4".

    Raises:
        UserError: one is no whole number of at least 1.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UserError(f"{option} {text!r} is not understood: write whole numbers from 1 on, as in 1,2,4")
    return [int(word) for word in words]


def _measure(path: Path, quiet: bool) -> None:
    """Write what this machine can do to `path`, which must not exist."""
    from rung.cluster.scaling.hardware import as_toml
    from rung.cluster.scaling.measuring import measure

    if path.exists():
        raise UserError(f"{path} exists: remove it, or name another file for the measurement (--hardware)")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for the measurement (--hardware)")
    output.say("measuring two processes of one thread each ...")
    text = as_toml(measure())
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    output.say(f"the measurement is in {path}")
    if not quiet:
        output.out().print(text, end="")


def _hardware(options: Options) -> Hardware:
    """The hardware file's, with what the command line says otherwise."""
    from rung.cluster.scaling.hardware import load_hardware, load_link

    hardware = load_hardware(options.hardware)
    changes: dict[str, Any] = {
        name: load_link(getattr(options, name), f"--{name}")
        for name in ("inside", "between")
        if getattr(options, name) is not None
    }
    if options.per_machine is not None:
        changes["per_machine"] = options.per_machine
    return msgspec.structs.replace(hardware, **changes)


def _network(options: Options, counts: Sequence[int], hardware: Hardware) -> tuple[Network, Hardware]:
    """What the module computes; with `--calibrate` the hardware is fitted to steps of it."""
    from rung.cluster.scaling.tracing import built, check_torch, read_network

    check_torch()
    assert options.module is not None
    sizes = None if options.input is None else whole_numbers("--input", options.input)
    module, example = built(_build(options.module), sizes)
    network = read_network(module, example)
    if options.calibrate:
        from rung.cluster.scaling.calibrating import fitted, time_steps

        share = options.batch if options.weak else -(-options.batch // max(counts))
        batches = sorted({options.batch, max(share, 2)})
        output.say(f"timing steps of {' and '.join(map(str, batches))} samples on this machine ...")
        steps = [time_steps(module, example, batch) for batch in batches]
        hardware = msgspec.structs.replace(hardware, device=fitted(hardware.device, steps, options.precision))
        parts = ", ".join(f"{name} {part:.0%}" for name, part in sorted(hardware.device.achieved.items()))
        output.say(f"achieved of the peak: {parts}; {hardware.device.overhead * 1e6:.1f} us each operator")
        if max(hardware.device.achieved.values(), default=0.0) > _TOO_GOOD:
            output.say(
                f"that is more than {options.hardware} says can be: where it was measured while the machine "
                "was busy, remove it and measure again"
            )
    return network, hardware


def _build(text: str) -> Any:
    """The function `FILE.py:FUNCTION`, which is called without arguments."""
    from rung.cli.objective import load_named

    function = load_named(text, "build")
    if not callable(function):
        raise UserError(f"{text} is no function: it must return a torch module when it is called")
    return function


# -- what is shown ----------------------------------------------------------------------------------------


def _show(
    options: Options, training: Training, hardware: Hardware, network: Network, points: Sequence[Point]
) -> None:
    from rung.cluster.scaling.predict import most_devices

    share = "each device" if training.weak else "in all"
    flops = network.flops(1) / 1e9
    output.say(
        f"{network.parameters:,} parameters, {flops:,.3g} GFLOP a sample and step; batch {training.batch} "
        f"{share}, {training.scheme}{', overlapped' if training.overlap else ''}, {training.precision} on "
        f"{hardware.device.name}, {hardware.per_machine} to a machine, {_links(hardware)}"
    )
    if output.verbose():
        _layers(network, points[0].batch)
    names = ("devices", "machines", "compute", "communication", "step", "samples/s", "speed-up", "efficiency")
    table = output.grid(*names, "", right=names)
    for point in points:
        table.add_row(
            str(point.devices),
            str(point.machines),
            duration(point.compute),
            duration(point.communication),
            duration(point.step),
            f"{point.throughput:,.4g}",
            f"{point.speedup:.2f}",
            f"{point.efficiency:.0%}",
            "█" * round(_BAR * point.efficiency),
        )
    output.out().print(table)
    best = most_devices(points, options.efficiency)
    output.out().print(f"devices for an efficiency of {options.efficiency:.0%}: {best}")


def _links(hardware: Hardware) -> str:
    """How fast devices are connected, as the predictions take it."""
    speeds = [f"{link.bandwidth / 1e9:.3g} GB/s" for link in (hardware.inside, hardware.between)]
    if hardware.per_machine == 1:
        return f"{speeds[1]} between machines"
    return f"{speeds[0]} inside, {speeds[1]} between machines"


def _layers(network: Network, batch: int) -> None:
    """The layers that compute most, for `-v`."""
    table = output.grid("layer", "GFLOP", "MB moved", right=("GFLOP", "MB moved"))
    rows = sorted(network.by_layer(batch).items(), key=lambda row: -row[1].flops)
    for name, work in rows[:_SHOWN]:
        table.add_row(name or "(itself)", f"{work.flops / 1e9:,.3g}", f"{work.moved / 1e6:,.3g}")
    output.err().print(table)


def duration(seconds: float) -> str:
    """A step's time as people read it."""
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def _print_json(
    options: Options, training: Training, hardware: Hardware, network: Network, points: Sequence[Point]
) -> None:
    from rung.cluster.scaling.predict import most_devices, speedups

    rows = [
        {**msgspec.structs.asdict(point), "compute": point.compute, "step": point.step} for point in points
    ]
    output.print_json(
        {
            "speedups": speedups(points),  # what `rung tune --scaling FILE` reads
            "efficiency": options.efficiency,
            "devices": most_devices(points, options.efficiency),
            "parameters": network.parameters,
            "flops": network.flops(1),
            "training": training,
            "hardware": hardware,
            "points": rows,
        }
    )


def curve(points: Sequence[Point], efficiency: float, training: Training) -> Chart:
    """The trade-off as a plot: speed-up, and the parts of a step's time, over devices."""
    import numpy as np

    from rung.analysis.charts import FAINT, GREEN, ORANGE, RED, Axis, Chart, Line, Panel
    from rung.cluster.scaling.predict import most_devices

    x = np.array([point.devices for point in points], float)
    ticks = [(float(point.devices), str(point.devices)) for point in points]
    best = most_devices(points, efficiency)
    rows = {
        "speed-up": np.array([point.speedup for point in points]),
        "compute": np.array([point.compute * 1e3 for point in points]),
        "communication": np.array([point.communication * 1e3 for point in points]),
    }
    gain = Panel(
        Axis("devices", ticks=ticks),
        Axis("speed-up"),
        [
            Line(x, x, FAINT, "as good as it can be", dash=True),
            Line(x, efficiency * x, ORANGE, f"efficiency {efficiency:.0%}", dash=True),
            Line(x, rows["speed-up"], GREEN, "predicted", width=3.0),
        ],
    )
    time = Panel(
        Axis("devices", ticks=ticks),
        Axis("milliseconds a step"),
        [
            Line(x, rows["compute"], GREEN, "compute"),
            Line(x, rows["communication"], RED, "communication"),
        ],
    )
    batch = f"batch {training.batch}{' on each device' if training.weak else ''}"
    note = f"{best} device{'s' if best > 1 else ''} for an efficiency of {efficiency:.0%}"
    return Chart("plan", f"Training over devices, {batch}", [gain, time], columns=2, note=note)
