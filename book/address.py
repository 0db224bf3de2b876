"""Write the repository's address, which stands in pyproject.toml, wherever else it must stand.

    python book/address.py            correct the files
    python book/address.py --check    change nothing; exit with 1 and list the files that disagree
    python book/address.py --pin      the chapters' first cells install the last commit, whatever comes after it

Nothing but addresses and commits is touched, so a notebook keeps every other byte.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

URL = r"https://github\.com/[\w.-]+/[\w.-]+?(?=/actions/|/blob/|/issues|\.git\b|[^\w.-]|\.?$|\.\s)"  # of a repository
SLUG = r"[\w.-]+/[\w.-]+"
COLAB = rf"(?<=colab\.research\.google\.com/github/){SLUG}(?=/blob/)"
REVISION = r'(?<=REVISION = \\")[0-9a-f]{40}(?=\\")'  # a commit, in a notebook's JSON

# file or pattern: expressions that match an address, each of which must be found; an address that should be a slug is one
PLACES = {
    "_config.yml": [rf"(?m)(?<=^  url: ){URL}"],
    "notebooks/*.ipynb": [rf'(?<=REPOSITORY = \\"){URL}', COLAB],
    "README.md": [rf"(?<=git clone ){URL}"],
    "CITATION.cff": [rf'(?m)(?<=^repository-code: "){URL}'],
}
OPTIONAL = {"README.md": [COLAB, rf"(?<=\]\(){URL}(?=/actions/|/blob/)", rf"(?<=src=){URL}(?=/blob/)", rf"(?<=git\+){URL}"]}


def address(root: Path = ROOT) -> str:
    """The one place.  ValueError: it is not a GitHub address, and Colab knows no other."""
    found = tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+(?<!\.git)", found):
        raise ValueError(f"the address {found!r} in pyproject.toml is not of the form https://github.com/OWNER/NAME.")
    return found


def corrected(text: str, pattern: str, url: str) -> tuple[str, list[str]]:
    """The text with this address in every place that the file's pattern gives, and what is missing from it."""
    slug, missing = url.removeprefix("https://github.com/"), []
    for must, expressions in ((True, PLACES[pattern]), (False, OPTIONAL.get(pattern, []))):
        for expression in expressions:
            text, n = re.subn(expression, slug if expression == COLAB else url, text)
            if must and n == 0:
                missing.append("the Colab link" if expression == COLAB else "the address")
    return text, missing


def main(root: Path = ROOT, check: bool = False) -> list[str]:
    """Correct every file, or only look.  Returns what disagrees, one line each."""
    url, wrong = address(root), []
    for pattern in PLACES:
        for path in sorted(root.glob(pattern)):
            text = path.read_bytes().decode()
            new, missing = corrected(text, pattern, url)
            name = path.relative_to(root).as_posix()
            wrong += [f"{name}: {what} is missing" for what in missing]
            if new != text and check:
                wrong.append(f"{name}: an address other than {url}")
            elif new != text:
                write(path, new)
                print(f"address.py: {name} now says {url}")
    return wrong


def pinned(root: Path = ROOT) -> set[str]:
    """The commits that the chapters' first cells install."""
    return {commit for path in root.glob("notebooks/*.ipynb") for commit in re.findall(REVISION, path.read_text("utf-8"))}


def pin(commit: str, root: Path = ROOT) -> None:
    """Let every chapter's first cell install that commit."""
    for path in root.glob("notebooks/*.ipynb"):
        write(path, re.sub(REVISION, commit, path.read_bytes().decode()))


def write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(text.encode())
    os.replace(aside, path)


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"], ["--pin"]):
        sys.exit(__doc__)
    try:
        if "--pin" in sys.argv:
            pin(subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip())
        disagree = main(check="--check" in sys.argv)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"address.py: {error}")
    if disagree:
        sys.exit("\n".join(disagree))
