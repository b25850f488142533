"""Reads one of the tool's forms with a library that others read it with, and
prints what it found as JSON: read.py FORM FILE"""

import json
import re
import sys
from pathlib import Path


def points(lines):
    """The results of one level: ok, directive, its words, name."""
    from tap.parser import Parser

    read = list(Parser().parse_text("\n".join(lines)))
    found = [line for line in read if line.category == "test"]
    plans = [line.expected_tests for line in read if line.category == "plan"]
    assert plans == [len(found)], f"planned {plans}, found {len(found)}"
    numbers = [point.number for point in found]
    assert numbers == list(range(1, len(found) + 1)), numbers

    def word(point):
        return "SKIP" if point.skip else "TODO" if point.todo else ""

    return [[point.ok, word(point), point.directive.text, name(point)] for point in found]


def name(point):
    return point.description.removeprefix("- ")


def tap13(text):
    lines = text.splitlines()
    assert lines.pop(0) == "TAP version 13"
    return points(lines)


def ktap(text):
    """KTAP is TAP at each level: a level is read without its indentation, and
    what stands further in belongs to the result that follows."""
    lines = text.splitlines()
    assert lines.pop(0) == "KTAP version 1"
    own, inside = [], []
    for line in lines:
        if line.startswith("  "):
            if line.startswith("  KTAP"):
                inside.append([])
            inside[-1].append(line[2:])
        else:
            own.append(line)
            if not line.startswith(("ok ", "not ok ")):
                continue
            # A result without a level of its own.
            results = sum(one.startswith(("ok ", "not ok ")) for one in own)
            inside += [None] * (results - len(inside))
    found = []
    for point, level in zip(points(own), inside, strict=True):
        if level is None:
            found.append([[point[3]], *point[:3]])
        else:
            below = ktap("\n".join(level))
            assert point[0] == all(one[1] for one in below), point
            found += [[[point[3], *one[0]], *one[1:]] for one in below]
    return found


def junit(text):
    import xmlschema

    schema = xmlschema.XMLSchema(Path(sys.executable).parent.parent / "junit-10.xsd")
    schema.validate(text)
    return len(re.findall("<testcase ", text))


def kcidb(text):
    from kcidb_io.schema import LATEST

    assert (LATEST.major, LATEST.minor) == (5, 3), LATEST
    report = LATEST.validate(json.loads(text))
    return [[test["path"], test["status"]] for test in report["tests"]]


def lava(text):
    """LAVA looks for the signal in what the console says, and splits its
    parameters at blanks and at the sign of equality."""
    found = []
    for line in text.splitlines():
        signal, rest = re.search(r"<LAVA_SIGNAL_(\S+) ([^>]+)>", line).groups()
        assert signal == "TESTCASE", line
        pairs = [parameter.split("=") for parameter in rest.split()]
        assert all(len(pair) == 2 for pair in pairs), line
        values = {key.lower(): value for key, value in pairs}
        assert values["result"] in ("pass", "fail", "skip", "unknown"), line
        found.append([values["test_case_id"], values["result"]])
    return found


def rst(text):
    from docutils.core import publish_doctree
    from docutils.nodes import section

    # Warnings end it.
    settings = {"report_level": 2, "halt_level": 2}
    return len(list(publish_doctree(text, settings_overrides=settings).findall(section)))


form, path = sys.argv[1:]
print(json.dumps(globals()[form](Path(path).read_text(encoding="utf-8"))))
