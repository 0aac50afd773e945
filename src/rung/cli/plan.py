"""`rung plan`: how a network's training scales over devices, predicted before any is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Json

Module = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE.py:FUNCTION",
        help="Returns a torch module, or (module, example input); its default name is build.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Samples in a step, of all devices together.")]
Devices = Annotated[str, typer.Option("--devices", metavar="1,2,4", help="Numbers of devices to look at.")]
HardwareFile = Annotated[
    str, typer.Option("--hardware", metavar="FILE|NAME", help="A hardware file, or a shipped device's name.")
]
Input = Annotated[
    str | None, typer.Option("--input", metavar="3,224,224", help="The size of one sample of the input.")
]
Efficiency = Annotated[
    float, typer.Option("--efficiency", min=0.01, max=1.0, help="The least that each device must be worth.")
]
Weak = Annotated[bool, typer.Option("--weak", help="Each device gets the whole batch: it grows with them.")]
Scheme = Annotated[str, typer.Option("--scheme", help="Of communication: ring, tree, butterfly or server.")]
Overlap = Annotated[bool, typer.Option("--overlap", help="Gradients are sent during the backward pass.")]
Optimizer = Annotated[str, typer.Option("--optimizer", help="sgd, momentum or adam.")]
Precision = Annotated[str, typer.Option("--precision", help="float32, tfloat32, bfloat16, float16, ...")]
PerMachine = Annotated[
    int | None, typer.Option("--per-machine", min=1, help="Devices in a machine, if not as the file says.")
]
Inside = Annotated[
    str | None, typer.Option("--inside", metavar="LINK", help="Between devices of a machine, as nvlink3.")
]
Between = Annotated[
    str | None, typer.Option("--between", metavar="LINK", help="Between machines, as ethernet-10g.")
]
Measure = Annotated[
    bool, typer.Option("--measure", help="Measure this machine's processors first, into the hardware file.")
]
Calibrate = Annotated[
    bool, typer.Option("--calibrate", help="Time a few steps here, and predict from what they achieve.")
]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curve: .html, .svg, .png or .pdf.")
]


def plan(  # noqa: PLR0913  # a door
    module: Module = None,
    batch: Batch = 256,
    devices: Devices = "1,2,4,8",
    hardware: HardwareFile = "hardware.toml",
    input: Input = None,  # the option's name
    efficiency: Efficiency = 0.75,
    weak: Weak = False,
    scheme: Scheme = "ring",
    overlap: Overlap = False,
    optimizer: Optimizer = "sgd",
    precision: Precision = "float32",
    per_machine: PerMachine = None,
    inside: Inside = None,
    between: Between = None,
    measure: Measure = False,
    calibrate: Calibrate = False,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Predict how training a torch module scales over devices, and how many of them are worth their while."""
    given = locals()  # first of all, so that it has the options and nothing else
    from rung.cli.planning import Options, planned

    planned(Options(**given))
