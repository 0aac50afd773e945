"""Two processes on one machine: they end with the same networks."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.nas_support import SMALL, TinyBatch, TinyTask
from rung.errors import UserError
from rung.nas.devices import (
    average,
    average_gradients,
    average_statistics,
    check_batch,
    device_of,
    part,
    rank,
    together,
    wait,
    world,
)
from rung.nas.processes import check_processes

HERE = Path(__file__).parent.parent
PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, {here!r})
torch.set_num_threads(1)
import nas.test_nas_retraining_devices as tests
from rung.nas.devices import rank, together
with together("cpu"):
    found = {{each.__name__: each() for each in (
        tests.retrained, tests.resumed, tests.planned, tests.spoken, tests.searched, tests.stepped,
        tests.gone_on, tests.limited,
    )}}
    Path({out!r}, f"{{rank()}}.json").write_text(json.dumps(found))
"""
PROCESSES = 2


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the functions of this file give in two processes that work together."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = PROGRAM.format(here=str(HERE), out=str(folder))
    running = []
    for number in range(PROCESSES):
        own = {
            "WORLD_SIZE": str(PROCESSES),
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "FOLDER": str(folder),
        }
        command = [sys.executable, "-W", "error::UserWarning:rung", "-c", source]
        running.append(
            subprocess.Popen(command, env={**os.environ, **own}, stderr=subprocess.PIPE, text=True)
        )
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, "\n".join(said)
    return [json.loads((folder / f"{number}.json").read_text()) for number in range(PROCESSES)]


def plain(net: torch.nn.Module) -> dict[str, list[float]]:
    return {name: value.double().flatten().tolist() for name, value in net.state_dict().items()}


def retrained() -> dict[str, Any]:
    """Run in each process: a training from scratch."""
    import nas.test_nas_retraining as tests
    from rung.nas.retraining import retrain

    found = retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", seed=1)
    return {"weights": plain(found.network), "accuracy": found.accuracy, "loss": found.rows[0].train_loss}


def resumed() -> dict[str, Any]:
    """Run in each process: a training that is stopped after an epoch, and goes on; then it is refused."""
    import nas.test_nas_retraining as tests
    from rung.nas.retraining import retrain

    out = Path(os.environ["FOLDER"]) / "resumed.pt"

    def stop(tick: Any) -> None:
        if tick.epoch == 1:
            raise KeyboardInterrupt

    try:
        retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", seed=1, out=out, watch=stop)
    except KeyboardInterrupt:
        wait()
    try:
        retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", seed=1, out=out)
    except UserError as error:
        refused = str(error)
    found = retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", seed=1, out=out, resume=True)
    return {"weights": plain(found.network), "epochs": found.epochs, "refused": refused}


def planned() -> dict[str, Any]:
    """Run in each process: budgets whose clocks began at other times in each."""
    import time

    import nas.test_nas_retraining as tests
    from rung.nas.retraining import retrain

    began = time.monotonic() - 200 * rank()  # the second process is 200 s late: 100 s on average
    found = retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", seed=1, budget=160.0, began=began)
    try:
        retrain(tests.TWO, tests.pictures(), tests.SHORT, device="cpu", budget=90.0, began=began)
    except UserError as error:
        return {"epochs": found.epochs, "refused": "under one epoch" in str(error)}
    return {}


def spoken() -> dict[str, Any]:
    """Run in each process: a language model, stopped and gone on with, and with a budget."""
    import nas.test_nas_retraining_text as tests
    from rung.nas.retraining_text import retrain_text

    out = Path(os.environ["FOLDER"]) / "spoken.pt"

    def stop(tick: Any) -> None:
        raise KeyboardInterrupt

    recipe, corpus = tests.RECIPE, tests.corpus()
    whole = retrain_text(tests.CELL, corpus, recipe, seed=1, device="cpu", budget=600.0)
    try:
        retrain_text(tests.CELL, corpus, recipe, seed=1, device="cpu", out=out, watch=stop)
    except KeyboardInterrupt:
        wait()
    found = retrain_text(tests.CELL, corpus, recipe, seed=1, device="cpu", out=out, resume=True)
    return {"whole": [list(epoch) for epoch in whole.epochs], "again": [list(e) for e in found.epochs]}


def searched() -> dict[str, Any]:
    """Run in each process: two epochs of a search, of first-order DARTS and of ASAP."""
    from rung.nas.loop import Plan, derive, run
    from rung.nas.loop import start as begin
    from rung.nas.recipe import Recipe
    from rung.nas.strategies.asap import Asap
    from rung.nas.strategies.darts import FirstOrder

    class Shared(TinyTask):
        def pairs(self, epoch):  # type: ignore[no-untyped-def]
            for a, b in super().pairs(epoch):
                yield type(a)(part(a.x), part(a.y)), type(b)(part(b.x), part(b.y))

    found: dict[str, Any] = {}
    for strategy in (FirstOrder(form="plain"), Asap(T0=0.9, extra=1, form="plain")):
        recipe = Recipe(channels=4, layers=2, epochs=2, batch=8, alpha_rate=0.05, rate=0.05)
        plan = Plan(Shared(), SMALL, strategy, recipe, 0)
        state = run(plan, begin(plan), lambda *_: True)
        found[strategy.name] = {
            "alphas": {name: value.detach().tolist() for name, value in state.alphas.items()},
            "genotype": derive(plan, state).to_text(),
            "weights": plain(state.net),
            "images": state.ledger.images,
        }
    return found


def gone_on() -> dict[str, Any]:
    """Run in each process: a search; the same stopped after an epoch, gone on with, and asked for again."""
    import signal

    import nas.test_nas_retraining as tests
    from rung.nas.searching import search

    def once(study: str, **more: Any) -> Any:
        return search(
            tests.pictures(),
            strategy="darts1",
            space="tiny",
            epochs=3,
            settings={"channels": 4, "layers": 3, "batch": 8, "rate": 0.05, **more.pop("settings", {})},
            device="cpu",
            retrain=False,
            storage=str(Path(os.environ["FOLDER"]) / "searches.db"),
            study=study,
            **more,
        )

    def stop(record: Any, _: Any) -> None:
        if record.epoch == 1 and not rank():
            os.kill(os.getpid(), signal.SIGINT)  # the second process is not told

    def plainly(result: Any) -> list[Any]:
        kept = [{k: v for k, v in r.items() if k not in ("seconds", "ledger")} for r in result.records]
        return [kept, result.genotype.to_text(), result.accuracy.derived, result.relaxation_gap.outputs]

    refused = ""
    whole, part = once("whole"), once("part", watch=stop)
    rest, again = once("part"), once("part")
    try:
        once("part", settings={"batch": 4})
    except UserError as error:
        refused = str(error)
    return {
        "whole": plainly(whole),
        "part": [len(part.records), part.interrupted],
        "rest": plainly(rest),
        "again": plainly(again),
        "refused": refused,
    }


def limited() -> dict[str, Any]:
    """Run in each process: what a plan with a price and a limit on latencies has of them."""
    import nas.test_nas_retraining as tests
    from rung.nas.planning import Request, prepare

    settings = {"channels": 4, "layers": 3, "batch": 8, "resource": "latency", "price": 1.0, "most": 100.0}
    strategy: Any = prepare(
        Request(tests.pictures(), "darts1", space="tiny", settings=settings)
    ).plan.strategy
    price = {name: cost.tolist() for name, cost in strategy.price.cost.items()}
    return {"most": strategy.inner.costs.to_dict(), "price": price}


def stepped() -> dict[str, Any]:
    """Run in each process: steps of a network without normalisations."""
    from rung.nas.task import Mixed
    from rung.nas.training import weight_step

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    )

    class Whole:
        def loss(self, call, mixed, batch, *, training=False):  # type: ignore[no-untyped-def]
            return torch.nn.functional.cross_entropy(call(batch.x), batch.y)

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(5):
        x, y = torch.randn(8, 3, 2, 2), torch.randint(3, (8,))
        batch = TinyBatch(part(x), part(y))
        losses.append(weight_step(Whole(), net, Mixed({}), batch, optimizer, 0.5))  # type: ignore[arg-type]
    return {"weights": plain(net), "losses": losses}


def test_nas_devices_retraining_gives_all_processes_the_same_weights(found: list[dict[str, Any]]) -> None:
    one, other = (each["retrained"] for each in found)
    assert one == other


def test_nas_devices_go_on_where_they_were(found: list[dict[str, Any]]) -> None:
    one, other = (each["resumed"] for each in found)
    assert one == other
    assert one["epochs"] == 3
    assert "go on with --resume" in one["refused"]
    assert one["weights"] == found[0]["retrained"]["weights"]  # as without the interruption


def test_nas_devices_share_a_budget(found: list[dict[str, Any]]) -> None:
    assert [each["planned"] for each in found] == [{"epochs": 3, "refused": True}] * 2


def test_nas_devices_train_one_language_model(found: list[dict[str, Any]]) -> None:
    one, other = (each["spoken"] for each in found)
    assert one == other
    assert one["whole"] == one["again"]
    alone = spoken_alone()
    assert one["whole"][-1][2] == pytest.approx(alone[-1][2], rel=0.2)  # other masks, the same model
    assert one["whole"] != alone


def spoken_alone() -> list[list[float]]:
    import nas.test_nas_retraining_text as tests
    from rung.nas.retraining_text import retrain_text

    done = retrain_text(tests.CELL, tests.corpus(), tests.RECIPE, seed=1, device="cpu")
    return [list(epoch) for epoch in done.epochs]


def test_nas_devices_find_the_same_network(found: list[dict[str, Any]]) -> None:
    one, other = (each["searched"] for each in found)
    assert one.keys() == {"darts1", "asap"}
    assert one == other
    alone = searched()
    for name in one:
        theirs, mine = one[name], alone[name]
        assert theirs["images"] == mine["images"]  # all processes' together
        assert theirs["alphas"] != mine["alphas"]  # normalisations see the part of a process


def test_nas_devices_go_on_with_a_search_bit_for_bit(found: list[dict[str, Any]]) -> None:
    one, other = (each["gone_on"] for each in found)
    assert one == other
    assert one["part"] == [1, True]
    assert one["whole"] == one["rest"] == one["again"]
    assert "with batch 8, not 4" in one["refused"]


def test_nas_devices_have_the_latencies_of_the_first(found: list[dict[str, Any]]) -> None:
    one, other = (each["limited"] for each in found)
    assert one["most"]["unit"] == "seconds"
    assert one == other


def test_nas_devices_go_on_with_as_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    check_processes(1)
    with pytest.raises(UserError, match=r"begun by 2 processes.*not 1: start torchrun --nproc_per_node 2"):
        check_processes(2)
    monkeypatch.setattr("rung.nas.processes.world", lambda: 2)
    with pytest.raises(UserError, match=r"begun by 1 process, .*not 2: start rung without torchrun"):
        check_processes(1)


def test_nas_devices_step_as_one_process_with_the_whole_batch(found: list[dict[str, Any]]) -> None:
    one, other = (each["stepped"] for each in found)
    alone = stepped()
    assert one == other
    assert np.allclose(np.array(one["losses"]), np.array(alone["losses"]), atol=1e-6)
    for name, value in alone["weights"].items():
        assert np.allclose(one["weights"][name], value, atol=1e-6), name


def test_nas_devices_one_process_changes_nothing() -> None:
    net = torch.nn.BatchNorm1d(3)
    net.weight.grad = torch.ones(3)
    average_gradients(net.parameters())
    average_statistics(net)
    assert net.weight.grad.tolist() == [1, 1, 1]
    assert (world(), rank(), average(2.5)) == (1, 0, 2.5)
    x = torch.arange(5)
    assert part(x) is x


def test_nas_devices_share_a_batch_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    x, seen = torch.arange(11), []
    monkeypatch.setattr("rung.nas.devices.world", lambda: 3)
    for number in range(3):
        monkeypatch.setattr("rung.nas.devices.rank", lambda number=number: number)
        seen.append(part(x).tolist())
    assert seen == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    check_batch(9)
    for batch, fit in ((10, 9), (4, 6), (3, 6)):
        with pytest.raises(UserError, match=f"give --batch {fit}$"):
            check_batch(batch)


def test_nas_devices_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="'cuda:99' cannot be used"):
        device_of("cuda:99")
    with pytest.raises(UserError, match="'nonsense' cannot be used"):
        device_of("nonsense")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="torchrun"), together("cpu"):
        pass
