"""Options out of dataclasses."""

from dataclasses import dataclass, field

import click
import pytest

from netapp.cli.options import options_of, taken
from netapp.cli.run import duration, probability


def even(text: str) -> int:
    if int(text) % 2:
        raise ValueError(f"{text} is odd")
    return int(text)


@dataclass(frozen=True)
class Config:
    name: str = "x"
    some_number: int = field(default=3, metadata={"flags": ("-n", "--number"), "range": (1, 9), "help": "how many"})
    ratio: float = 0.5
    on: bool = False
    maybe: str | None = None
    size: int = field(default=4, metadata={"parse": even, "shown": "4", "metavar": "EVEN"})
    many: tuple[str, ...] = ("one",)
    mode: str = field(default="a", metadata={"choices": ("a", "b")})


def parse(*arguments: str) -> Config:
    command = click.Command("test", params=list(options_of(Config)))
    with command.make_context("test", list(arguments)) as context:
        made = taken(Config, context.params)
    assert isinstance(made, Config)
    return made


def test_defaults_are_the_dataclass_s() -> None:
    assert parse() == Config()


def test_every_kind_of_field() -> None:
    arguments = "--name y -n 7 --ratio 0.25 --on --maybe z --size 6 --many two --many three --mode b".split()
    assert parse(*arguments) == Config("y", 7, 0.25, True, "z", 6, ("two", "three"), "b")


@pytest.mark.parametrize("arguments", ["-n 10", "-n x", "--size 5", "--mode c", "--some-number 3", "--ratio x"])
def test_bad_values_are_usage_errors(arguments: str) -> None:
    with pytest.raises(click.UsageError):
        parse(*arguments.split())


def test_help_says_flags_and_defaults() -> None:
    command = click.Command("test", params=list(options_of(Config)))
    text = " ".join(command.get_help(click.Context(command)).split())
    assert "-n, --number N how many [default: 3; 1<=x<=9]" in text
    assert "--size EVEN [default: 4]" in text


@pytest.mark.parametrize(
    "text, ns", [("10ms", 10**7), ("50us", 50_000), ("0.1s", 10**8), ("3", 3 * 10**6), ("7ns", 7), (".5s", 5 * 10**8)]
)
def test_durations(text: str, ns: int) -> None:
    assert duration(text) == ns


@pytest.mark.parametrize("text", ["", "x", "-1ms", "1 ms", "1m", "ms", "1e3", "9" * 20 + "s", "9" * 400])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        duration(text)


def test_probabilities() -> None:
    assert (probability("0.01"), probability("1%"), probability("0"), probability("1")) == (0.01, 0.01, 0, 1)
    for text in ("2", "-0.1", "x", "101%", "nan", ""):
        with pytest.raises(ValueError, match="is no probability"):
            probability(text)
