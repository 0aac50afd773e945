"""The fingerprint of an objective changes with its code, and with nothing else."""

import functools

from rung.study.fingerprint import fingerprint


def made(source):
    """A function whose source nobody can find, as one from a shell."""
    names = {}
    exec(source, names)
    return names["train"]


NESTED = "def train(config):\n  add = lambda x: x + {}\n  return add(config['x'])\n"


def test_without_source_it_is_that_of_the_bytecode():
    assert fingerprint(made(NESTED.format(1))) == fingerprint(made(NESTED.format(1)))
    assert fingerprint(made(NESTED.format(1))) != fingerprint(made(NESTED.format(2)))
    called = "def train(config): return {}(config)"
    assert fingerprint(made(called.format("sin"))) != fingerprint(made(called.format("cos")))


def test_of_an_object_it_is_that_of_its_class():
    class Train:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, config):
            return self.factor

    assert fingerprint(Train(1)) == fingerprint(Train(2)) is not None


def test_what_has_no_code_has_none():
    assert fingerprint(functools.partial(max, 1)) is None
    assert fingerprint(len) is None


def test_of_a_partial_call_it_is_that_of_the_function():
    one, two = made("def train(a, config): return 1"), made("def train(a, config): return 2")
    assert fingerprint(functools.partial(one, 3)) == fingerprint(functools.partial(one, 4))
    assert fingerprint(functools.partial(one, 3)) != fingerprint(functools.partial(two, 3))
