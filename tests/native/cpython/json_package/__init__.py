"""In the place of `test.test_json`, which needs the module `_json`. An image has only the one in Python."""

import json
import json.decoder
import json.encoder
import json.scanner
import unittest
from typing import Any


class PyTest(unittest.TestCase):
    json = json
    loads = staticmethod(json.loads)
    dumps = staticmethod(json.dumps)
    JSONDecodeError = staticmethod(json.JSONDecodeError)


@unittest.skip("there is no _json")
class CTest(unittest.TestCase):
    json: Any
