"""An image's command line means what click makes of the same words."""

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliances.memcached.options import Options
from netapp.cli.options import options_of
from netapp.native.config import ImageOptions
from netapp.native.words import Shown, UsageError, made, split, values_of
from netapp.node.options import NetworkOptions


def by_click(config: type, words: list[str]) -> Any:
    """None where they are refused."""
    command = click.Command("x", params=list(options_of(config)))
    try:
        with command.make_context("x", list(words)) as context:
            # What only shows something is None.
            return config(**{name: value for name, value in context.params.items() if value is not None})
    except (click.UsageError, ValueError):
        return None


def by_us(config: type, words: list[str]) -> Any:
    try:
        return made(config, values_of(config, words, ""))
    except UsageError:
        return None


WORDS = """
-m -m64 64 --memory-limit=128 --memory-limit -m0 -c 10 -p 0 -p70000 --port 7001 -U 11211 -v -vv -vvv -M -Mv -MC -A
--disable-cas=1 -I 2m -I1x -B binary -Bascii -Bx -o hashpower=20 -ono_lru_crawler -o nothing -l 10.0.0.1
-l10.0.0.2:80 --unix-socket=/x -d -uroot -R x extra -Z --nonsense -J -t 4 --listen=*
""".split()


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_the_same_as_click_for_memcached(words: list[str]) -> None:
    assert by_us(Options, words) == by_click(Options, words)


IMAGE_WORDS = """
--address 10.1.0.2/24 --address=10.1.0.3/24 --gateway=10.1.0.1 --route 192.0.2.0/24=10.1.0.1 --route=bad --vlan 5
--vlan=5000 --detect-conflicts --tap=x --io rw --io=no -v -vv --verbose --gateway 10.99.0.1 --vlan=x
""".split()


@given(st.lists(st.sampled_from(IMAGE_WORDS), max_size=6))
def test_the_same_as_click_for_an_image(words: list[str]) -> None:
    found = by_us(ImageOptions, words)
    assert found == by_click(ImageOptions, words)
    if found is not None:
        assert by_us(ImageOptions, found.words()) == found


@pytest.mark.parametrize(
    "words, told",
    [
        (["--frob"], "there is no option --frob: -h lists them"),
        (["frob"], "'frob' is no option: -h lists them"),
        (["--vlan"], "--vlan wants a value"),
        (["--vlan=0"], "--vlan: 0 is not from 1 to 4094"),
        (["--vlan=x"], "--vlan: 'x' is no number"),
        (["--io=x"], "--io: 'x' is none of auto, rw, uring"),
        (["--detect-conflicts=1"], "--detect-conflicts takes no value"),
        (["--address=x"], "'x' is no address with prefix length, as in 10.99.0.2/24"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        made(ImageOptions, values_of(ImageOptions, words, ""))
    assert str(raised.value) == told


def test_what_is_refused_says_why() -> None:
    with pytest.raises(UsageError, match="-Z is refused: there is no TLS"):
        values_of(Options, ["-Z"], "")


def test_help_and_texts() -> None:
    with pytest.raises(Shown) as shown:
        values_of(NetworkOptions, ["-h"], "usage: x")
    lines = str(shown.value).splitlines()
    assert lines[0] == "usage: x" and "  --vlan N" in lines and "  --detect-conflicts" in lines
    with pytest.raises(Shown, match=r"^memcached 1\.6"):
        values_of(Options, ["-V"], "")


def test_two_dashes_divide() -> None:
    assert split(["-v", "--", "-m", "--", "1"]) == (["-v"], ["-m", "--", "1"])
    assert split(["-v"]) == (["-v"], [])
