"""Every answer that the document names was given in this run. Runs last (conftest.py), and judges a whole run only."""
import glob
import os

import pytest
from control_plane import SEEN
from openapi_document import OPERATIONS, operation_of

HERE = os.path.dirname(os.path.abspath(__file__))


def test_every_documented_answer_was_seen(request):
    files = {os.path.basename(path) for path in glob.glob(os.path.join(HERE, "test_*.py"))}
    if {item.path.name for item in request.session.items} != files or request.config.option.keyword:
        pytest.skip("a part of the tests shows a part of the answers")
    seen = {(repr(operation_of(method, path)), status) for method, path, status in SEEN}
    missing = [f"{one}: {code}" for one in OPERATIONS for code in sorted(one.codes) if (repr(one), code) not in seen]
    assert not missing, "\n".join(["no test was answered so:", *missing])
