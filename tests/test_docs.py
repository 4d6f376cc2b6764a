"""The pages for people: their links lead somewhere, their lines can be read, none is lost."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from loadtests.reference import COMMAND
from loadtests.reference import PAGES as MADE
from sluice import __version__

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "examples" / "README.md",
    *DOCS,
]
OTHERS = [ROOT / "CHANGELOG.md", *sorted((ROOT / "loadtests").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_LINE, README_LINES = 120, 150
# What is for graphs alone: no value of these is worth waking anybody.
NO_ALERTS = {
    "sluice_chunk_cache_bytes",
    "sluice_dataset_request_seconds",
    "sluice_open_datasets",
    "sluice_sent_bytes_total",
    "sluice_store_received_bytes_total",
}
# What a browser fetches of another server, by itself.
FETCHED = {
    "html": r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""",
    "css": r"""(?:url\(|@import )["']?(?:https?:)?//""",
}


def without_code(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def called(page: Path) -> str:
    """Its path in the checkout."""
    return page.relative_to(ROOT).as_posix()


def links(page: Path) -> Iterator[str]:
    """The links of a page that stay in this checkout."""
    for link in LINK.findall(without_code(page.read_text())):
        if not link.startswith(("http://", "https://")):
            yield link


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=called)
def test_links_lead_somewhere(page: Path) -> None:
    """Each to a file that is there, and to a heading in it where it names one."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def led_to(page: Path) -> set[Path]:
    """The files that its links name."""
    return {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}


def test_every_page_is_reached_from_the_readme() -> None:
    """None lies in a folder that nobody is led to; a folder in `docs/` has a page that lists it."""
    named = led_to(ROOT / "README.md")
    for listing in DOCS:
        if listing.name == "README.md" and listing in named:
            named |= led_to(listing)
    assert named >= set(PAGES[1:])


def test_the_readme_is_short() -> None:
    """What is more than a first look is in `docs/`."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    assert max(map(len, lines)) <= LONGEST_LINE


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_lines_can_be_read(page: Path) -> None:
    """But for those of tables and code, which cannot be broken."""
    lines = without_code(page.read_text()).splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE and line[0] != "|"] == []


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_each_page_has_one_title(page: Path) -> None:
    """In its first line."""
    text = without_code(page.read_text())
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert text.startswith("# ")


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_from_the_code_is_what_it_makes(name: str) -> None:
    """Whoever changes a setting or a metric writes the page anew."""
    page = (ROOT / "docs" / name).read_text()
    assert page == MADE[name](page), f"{COMMAND} writes it anew"


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_files_that_are_named_are_there(page: Path) -> None:
    """Modules and folders of this checkout, whatever they are called now."""
    named = re.findall(
        r"`((?:sluice|app|tests|loadtests|deploy|scripts|examples)/[\w/.]*)`", page.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def rows(page: Path, heading: str) -> Iterator[list[str]]:
    """The cells of the tables under a heading."""
    _, _, under = page.read_text().partition(f"\n## {heading}\n")
    for line in under.partition("\n## ")[0].splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_lines_of_clients_are_those_that_are_run() -> None:
    """The README has some of `docs/clients.md`, whose lines are all run."""
    known = (ROOT / "docs" / "clients.md").read_text()
    shown = [cells[1] for cells in rows(ROOT / "README.md", "I use …") if "`" in cells[1]]
    assert len(shown) >= 5
    assert [line for line in shown if line not in known] == []


def test_how_fast_it_is_was_measured() -> None:
    """The README's four ratios are those of `docs/performance.md`."""
    known = (ROOT / "docs" / "performance.md").read_text()
    _, *told = rows(ROOT / "README.md", "How fast")
    ratios = [re.match(r"[\d.]+ times", cells[2]) for cells in told]
    assert len(ratios) == 4
    assert [ratio for ratio in ratios if ratio is None or f"| {ratio[0]}" not in known] == []


def test_each_metric_has_an_alert_and_each_alert_a_line_in_the_runbook() -> None:
    """But for metrics of graphs; and what an alert asks for is a metric with these labels."""
    page = ROOT / "docs" / "operations.md"
    _, *metrics = rows(page, "Metrics")
    labels = {row[0].strip("`"): set(re.findall(r"\w+", row[2])) for row in metrics}
    (group,) = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
    rules = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    _, *lines = rows(page, "Runbook")
    assert [line[0].strip("`") for line in lines] == list(rules)
    assert all(len(line) == 4 and all(line) for line in lines)
    asked = set()
    for told in rules.values():
        for found, matchers in re.findall(r"(sluice_\w+)(\{.*?\}(?= *[\[><=)]))?", told):
            name = re.sub("_(bucket|count|sum)$", "", found)
            asked.add(name)
            assert set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers)) <= labels[name], told
    assert asked == set(labels) - NO_ALERTS


def test_prometheus_takes_the_alerts() -> None:
    """As its own tool checks them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("alerts: no promtool")
    done = subprocess.run([promtool, "check", "rules", ROOT / "deploy" / "alerts.yml"], check=False)
    assert done.returncode == 0


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """No dead link, no page that is not in it, and nothing in it that another server has."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("the site: no mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    built = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    assert built >= {
        called(page).removeprefix("docs/")[:-2] + "html"
        for page in DOCS
        if page.name != "README.md"
    }
    assert "index.html" in built
    for kind, sign in FETCHED.items():
        for path in tmp_path.rglob(f"*.{kind}"):
            assert not re.search(sign, path.read_text()), path.name


# What one of each kind is called in the code, wherever it is known.
KINDS = {
    "A format": r"\bNPY\b",
    "An option": r"\bCMAP\b",
    "A door": r"\bZarrDoor\b|\bdap, edr\b|\"dap\", \"edr\"",
}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_adds_one_is_told_of_each_file(kind: str) -> None:
    """CONTRIBUTING names the files, or the folders, in which the code knows one of that kind."""
    _, *lines = rows(ROOT / "CONTRIBUTING.md", kind)
    named = tuple(path for line in lines for path in re.findall(r"`([\w/.]+)`", line[0]))
    known = [
        called(path)
        for package in ("app", "sluice")
        for path in (ROOT / package).rglob("*.py")
        if re.search(KINDS[kind], path.read_text())
    ]
    assert len(known) > 1 or kind == "An option"
    assert [path for path in known if not path.startswith(named)] == []


# What a stranger sees first of a checkout; more belongs into a folder.
TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "app",
    "demo",
    "deploy",
    "docker-compose.yml",
    "docs",
    "examples",
    "loadtests",
    "mkdocs.yml",
    "pyproject.toml",
    "requirements-bench.txt",
    "requirements-dev.txt",
    "requirements.txt",
    "run",
    "scripts",
    "setup.py",
    "sluice",
    "tests",
}


def test_the_top_level_is_short() -> None:
    """Nothing is there that nobody decided on."""
    if not (ROOT / ".git").exists():
        pytest.skip("the top level: no checkout of git")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {line.split("/")[0] for line in done.stdout.splitlines()} == TOP_LEVEL


def test_hooks_and_workflows_call_what_there_is() -> None:
    """They name verbs of `./run` and `.ci/run`, and fetch nothing but the runner's own actions."""
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert hooks["repo"] == "local"
    script = (ROOT / "run").read_text()
    for hook in hooks["hooks"]:
        run, verb, *parts = hook["entry"].split()
        assert run == "./run"
        assert f"\n  {verb}) setup" in script
        assert all(f"\n      {part}) " in script for part in parts), hook["entry"]
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    used = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout", "actions/setup-python"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_forms_of_issues_can_be_filled_in(name: str) -> None:
    """Each has a name, words, and fields with names of their own."""
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert form["name"]
    assert form["description"]
    fields = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert fields
    assert len(set(fields)) == len(fields)


def test_the_changelog_tells_of_this_version() -> None:
    """Its first section is that of the version that is installed, then come those before."""
    versions = re.findall(r"^## (\S+?)(?::.*)?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions == [__version__, "0.1.0"]
