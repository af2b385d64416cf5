"""Checks the Markdown files of the project, and takes the plans out of them.

usage: docs_check.py ROOT SNIPPETS_DIR
- Every relative link leads to a file, and its #anchor to a heading there.
- Every key of docs/report.schema.json is described in docs/report.md.
- Every YAML block that begins with apiVersion, and every one that is an action (in a plan that is made for it), is written
  to SNIPPETS_DIR, named after its file and line.
Exit code 1 and a line for each finding.
"""

import json
import re
import sys
import textwrap
from pathlib import Path

root, snippets = Path(sys.argv[1]), Path(sys.argv[2])
findings = []


def anchors(path):
    """As GitHub makes them of headings: lower case, no punctuation, blanks to hyphens."""
    found, in_code = set(), False
    for line in path.read_text().splitlines():
        in_code ^= line.startswith("```")
        heading = re.match(r"#+ (.*)", line)
        if heading and not in_code:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    return found


def check_links(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        if not to.exists():
            findings.append(f"{path}: no such file: {target}")
        elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
            findings.append(f"{path}: no such heading: {target}")


AROUND_ACTION = """apiVersion: holdfast/v1
kind: Experiment
metadata: {name: documented}
spec:
  prometheus: {url: "http://127.0.0.1:9090"}
  steadyStateHypothesis:
    probes: [{name: up, type: prometheus, query: up, tolerance: "== 1"}]
  method:
"""


def take_plans(path):
    text, count = path.read_text(), 0
    for block in re.finditer(r"^```ya?ml\n(apiVersion:.*?|- name:.*?)^```", text, flags=re.S | re.M):
        line = text[:block.start()].count("\n") + 2
        plan = AROUND_ACTION + textwrap.indent(block[1], "    ") if block[1].startswith("-") else block[1]
        (snippets / f"{path.stem}-line-{line}.yaml").write_text(plan)
        count += 1
    return count


def keys_of(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
            yield from keys_of(value)
    elif isinstance(schema, list):
        for one in schema:
            yield from keys_of(one)


documents = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
plans = 0
for document in documents:
    check_links(document)
    plans += take_plans(document)
if len(documents) < 2 or plans == 0:
    findings.append(f"{len(documents)} documents with {plans} plans: what this test looks at is not where it looks")
described = (root / "docs/report.md").read_text()
for key in sorted(set(keys_of(json.loads((root / "docs/report.schema.json").read_text())))):
    if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", described):
        findings.append(f"docs/report.md: does not describe {key}")
for finding in findings:
    print(finding, file=sys.stderr)
sys.exit(1 if findings else 0)
