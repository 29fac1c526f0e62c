from __future__ import annotations

import re
from importlib.metadata import version

import pytest

import flux_nodes
from tests.hosts.places import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_version_is_the_same_everywhere_and_the_changelog_tells_it() -> None:
    told = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert version("flux-nodes") == flux_nodes.__version__ == told[0]
    assert told == sorted(told, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: object) -> None:
    text = page.read_text("utf-8")  # type: ignore[attr-defined]  # parametrize tells no type
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]  # type: ignore[attr-defined]  # likewise
    assert missing == []
