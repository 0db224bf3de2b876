"""Write the repository's address, which stands in pyproject.toml, wherever else it must stand.

    python book/address.py            correct the files
    python book/address.py --check    change nothing; exit with 1 and list the files that disagree

Nothing but the addresses is touched, so a notebook keeps every other byte.
"""

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

URL = r"https://github\.com/[\w.-]+/[\w.-]+?(?=/actions/|/blob/|/issues|\.git\b|[^\w.-]|\.?$|\.\s)"  # of a repository
SLUG = r"[\w.-]+/[\w.-]+"
COLAB = rf"(?<=colab\.research\.google\.com/github/){SLUG}(?=/blob/)"

# file or pattern: expressions that match an address, each of which must be found; an address that should be a slug is one
PLACES = {
    "_config.yml": [rf"(?m)(?<=^  url: ){URL}"],
    "notebooks/*.ipynb": [rf'(?<=REPOSITORY = \\"){URL}', COLAB],
    "README.md": [rf"(?<=git clone ){URL}"],
    "CITATION.cff": [rf'(?m)(?<=^repository-code: "){URL}'],
}
OPTIONAL = {"README.md": [COLAB, rf"(?<=\]\(){URL}(?=/actions/)", rf"(?<=git\+){URL}"]}


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
                aside = path.with_name(f".{path.name}.new")
                aside.write_bytes(new.encode())
                os.replace(aside, path)
                print(f"address.py: {name} now says {url}")
    return wrong


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    try:
        disagree = main(check="--check" in sys.argv)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"address.py: {error}")
    if disagree:
        sys.exit("\n".join(disagree))
