"""In place of `netapp.native.main`, the program of an image that is made first: prints what the modules of the image
that is to be compile from text when they are imported, and its options when they are read, for that to have it
compiled. See netapp/native/importer.py.
"""

import sys
from importlib import import_module

import _netapp_image  # type: ignore[import-not-found]

from netapp.native import importer

_asked: list[tuple[str, str | bytes, int]] = []


class _Asked(dict[tuple[str, str | bytes, int], bytes]):
    """Knows nothing, and remembers what was asked."""

    def get(self, key: tuple[str, str | bytes, int], default: object = None) -> None:  # type: ignore[override]
        _asked.append(key)


importer.KNOWN = _Asked()


def main() -> int:
    for name in sys.argv[1:]:
        import_module(name)
    # Not above: what they import themselves is asked, too.
    from typing import get_type_hints

    from netapp.native.config import ImageOptions

    module, _, kind = _netapp_image.APPLIANCE.partition(":")
    for options in (ImageOptions, getattr(import_module(module), kind).Options):
        get_type_hints(options)
    print(sorted(set(_asked), key=repr))
    return 0
