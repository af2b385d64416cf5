"""Checks a report.json against its schema, and the report.html as Chromium built and drew it against that.

usage: report_check.py SCHEMA_JSON REPORT_JSON DOM_HTML SCREENSHOT_PNG
DOM_HTML is what Chromium's --dump-dom printed, SCREENSHOT_PNG what it drew. Exit code 1 and a line for each finding.
"""

import json
import re
import struct
import sys
import zlib
from html.parser import HTMLParser

import jsonschema

findings = []


def expect(condition, finding):
    if not condition:
        findings.append(finding)


class Page(HTMLParser):
    """All elements with their attributes, the charts apart, and the text of the verdict."""

    def __init__(self):
        super().__init__()
        self.elements, self.charts, self.text, self.body = [], [], "", ""

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag == "svg":
            self.charts.append([])
        elif self.charts and tag in ("rect", "path", "circle", "line", "text"):
            self.charts[-1].append(element)

    def handle_data(self, data):
        self.text += data
        if any(one["tag"] == "body" for one in self.elements):
            self.body += data
        if self.elements:
            self.elements[-1]["text"] += data


def marks(chart, css_class):
    return [one for one in chart if css_class in (one.get("class") or "").split()]


def check_chart(chart, probe, actions):
    name = probe["name"]
    ticks = {float(one["text"][:-2]): float(one["x"]) for one in marks(chart, "tick") if one["text"].endswith(" s")}
    expect(len(ticks) >= 2, f"{name}: a time axis needs two ticks at least: {ticks}")
    if len(ticks) < 2:
        return
    last = max(ticks)
    at_zero, per_second = ticks[0.0], (ticks[last] - ticks[0.0]) / last
    windows = marks(chart, "fault-window")
    injected = [one for one in actions if one["start"] is not None]
    expect(len(windows) == len(injected), f"{name}: {len(windows)} fault windows for {len(injected)} injected actions")
    for window, action in zip(windows, injected):
        start = (float(window["x"]) - at_zero) / per_second
        end = start + float(window["width"]) / per_second
        expect(abs(start - action["start"]) < 0.1 and abs(end - action["end"]) < 0.1,
               f"{name}: the window is drawn from {start:.2f} to {end:.2f} s, "
               f"the fault was from {action['start']:.2f} to {action['end']:.2f} s")
    seen = [one for one in probe["points"] if one["value"] is not None]
    drawn = sum(len(re.findall("[ML]", one["d"])) for one in marks(chart, "series"))
    expect(drawn == len(seen) and drawn > 0, f"{name}: {drawn} points in the line, {len(seen)} in the report")
    missed = [one for one in probe["points"] if one["status"] == "miss"]
    expect(len(marks(chart, "miss")) == len(missed), f"{name}: {len(marks(chart, 'miss'))} red marks, {len(missed)} misses")
    expect(marks(chart, "bound"), f"{name}: the tolerance is not drawn")


def pixels(path):
    """The rows of an 8-bit RGB or RGBA picture (PNG specification, 9 "Filtering"), as lists of (r, g, b)."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6), "not 8-bit RGB or RGBA"
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    step = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(packed), width * step
    previous = bytearray(stride)
    for y in range(height):
        filter_type, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left = row[x - step] if x >= step else 0
            up = previous[x]
            corner = previous[x - step] if x >= step else 0
            if filter_type == 1:
                row[x] = (row[x] + left) & 255
            elif filter_type == 2:
                row[x] = (row[x] + up) & 255
            elif filter_type == 3:
                row[x] = (row[x] + (left + up) // 2) & 255
            elif filter_type == 4:
                paeth = left + up - corner
                nearest = min((abs(paeth - left), 0, left), (abs(paeth - up), 1, up), (abs(paeth - corner), 2, corner))
                row[x] = (row[x] + nearest[2]) & 255
        yield [tuple(row[x:x + 3]) for x in range(0, stride, step)]
        previous = row


def check_picture(path, breached):
    counts = {}
    for row in pixels(path):
        for pixel in row:
            counts[pixel] = counts.get(pixel, 0) + 1
    total = sum(counts.values())

    def share(test):
        return sum(count for pixel, count in counts.items() if test(*pixel)) / total

    expect(len(counts) > 50, f"the picture has {len(counts)} colours: text and charts have more")
    expect(share(lambda r, g, b: r > 235 and 220 < g < 245 and 180 < b < 220) > 0.01, "no fault window is to be seen")
    expect(share(lambda r, g, b: b > 200 and r < 80) > 0.0001, "no line of a probe is to be seen")
    if breached:
        expect(share(lambda r, g, b: r > 170 and g < 80 and b < 80) > 0.0005, "nothing is red in the report of a breach")


def strict(schema):
    """The same schema, but that a key which it does not know is an error: what is written is to be documented."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "required" in closed else closed


def check_schema(report, schema):
    for error in jsonschema.Draft202012Validator(strict(schema)).iter_errors(report):
        findings.append(f"report.json, {error.json_path}: {error.message}")


def check_summary(report, text):
    """The verdict comes first, then what missed and when."""
    rest = text
    for words in (report["verdict"], report["reason"], report["title"], "recover", "Faults, and the proof"):
        _, found, rest = rest.partition(words)
        expect(found, f"the page does not begin with verdict, reason, title, recovery, faults: {words!r} is not in its place")
    missed = [one["name"] for one in report["probes"] if any(o["status"] == "miss" for o in one["outcomes"])]
    shown = re.findall("“([^”]*)” missed from [0-9:]{8} UTC", text)
    expect(sorted(set(shown)) == sorted(missed), f"missed: {missed}; the page begins with {shown}")


def main(schema_path, report_path, dom_path, picture_path):
    report = json.load(open(report_path))
    check_schema(report, json.load(open(schema_path)))
    page = Page()
    page.feed(open(dom_path).read())
    expect(report["verdict"] in page.text and report["reason"] in page.text, "verdict and reason are not on the page")
    expect(any(report["verdict"] in (one.get("class") or "") for one in page.elements), "the verdict has no colour")
    check_summary(report, page.body)
    unchanged = "Nothing differs from the snapshot" in page.text
    expect(unchanged == (not report["hostDifferences"]), "the page does not say whether the host is as before")
    for action in report["actions"]:
        expect(action["name"] in page.text and action["proof"] in page.text, f"no proof of {action['name']} on the page")
    expect(len(page.charts) == len(report["probes"]), f"{len(page.charts)} charts for {len(report['probes'])} probes")
    for chart, probe in zip(page.charts, report["probes"]):
        check_chart(chart, probe, report["actions"])
    for one in page.elements:
        for attribute in ("src", "href", "srcset", "data"):
            expect(not one.get(attribute), f"{one['tag']} refers to {one.get(attribute)}: the page is to stand alone")
        expect(one["tag"] != "script", "the page needs no script")
    check_picture(picture_path, report["verdict"] == "breached")


main(*sys.argv[1:])
for finding in findings:
    print(finding, file=sys.stderr)
sys.exit(1 if findings else 0)
