"""Fetch the scripts that the built book needs into book/_vendor, so that nothing is loaded from elsewhere by a reader.

    python book/vendor.py

MathJax sets the mathematics.  It comes from the npm registry, in an exact version with a known checksum, and is not
committed.  What is already there is left alone; the folder appears whole or not at all.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "book" / "_vendor"

# package@version, SHA-512 as the registry gives it (`npm view PACKAGE dist.integrity`), {path in the package: path in TARGET}
PACKAGES = [
    (
        "mathjax@3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        {
            "LICENSE": "mathjax/LICENSE",
            "es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
            "es5/input/tex/extensions": "mathjax/input/tex/extensions",
            "es5/output/chtml/fonts/woff-v2": "mathjax/output/chtml/fonts/woff-v2",
            "es5/a11y": "mathjax/a11y",  # what the accessibility entries of its menu load
            "es5/sre/mathmaps/base.json": "mathjax/sre/mathmaps/base.json",
            "es5/sre/mathmaps/en.json": "mathjax/sre/mathmaps/en.json",
            "es5/sre/mathmaps/nemeth.json": "mathjax/sre/mathmaps/nemeth.json",
        },
    ),
]


def main(target: Path = TARGET, packages: list[tuple[str, str, dict[str, str]]] | None = None) -> None:
    """Fill `target` with `packages`, by default PACKAGES, unless they are there.  RuntimeError: npm is missing or fails."""
    packages = PACKAGES if packages is None else packages
    wanted = hashlib.sha256(repr(packages).encode()).hexdigest()
    stamp = target / "VERSIONS"
    if stamp.exists() and stamp.read_text().startswith(wanted):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm was not found; install Node.js 18 or later, from whose registry the scripts come.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="_vendor-", dir=target.parent) as aside:
        new = Path(aside) / "new"
        for package, checksum, paths in packages:
            _unpack(_pack(npm, package, checksum, Path(aside)), paths, new)
        versions = "\n".join(package for package, _, _ in packages)
        (new / "VERSIONS").write_text(f"{wanted}\n{versions}\n")
        if target.exists():
            os.replace(target, Path(aside) / "old")  # goes with the temporary folder
        os.replace(new, target)
    print(f"vendor: {', '.join(package for package, _, _ in packages)} in {os.path.relpath(target)}")


def _pack(npm: str, package: str, checksum: str, folder: Path) -> Path:
    """Download one package as the registry has it; returns the path of the .tgz."""
    before = set(folder.glob("*.tgz"))
    done = subprocess.run(
        [npm, "pack", package, "--silent", "--pack-destination", str(folder)], cwd=folder, capture_output=True, text=True
    )
    new = set(folder.glob("*.tgz")) - before
    if done.returncode != 0 or len(new) != 1:
        words = [line for line in done.stderr.splitlines() if "error" in line.lower()] or ["no reason given"]
        raise RuntimeError(f"npm could not fetch {package}: {words[0].strip()}; is there a network?")
    archive = new.pop()
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != checksum:
        raise RuntimeError(f"{package} is not the file that this book was made with: its SHA-512 differs.")
    return archive


def _unpack(archive: Path, paths: dict[str, str], folder: Path) -> None:
    """Copy files, or folders with all that is in them, from the archive's `package/`."""
    with tarfile.open(archive) as tar:
        files = {m.name.removeprefix("package/"): m for m in tar.getmembers() if m.isfile()}
        for inside, outside in paths.items():
            found = [name for name in files if name == inside or name.startswith(inside + "/")]
            if not found:
                raise RuntimeError(f"{archive.name} has no {inside}; correct the paths that are asked for.")
            for name in found:
                path = folder / (outside + name.removeprefix(inside))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(files[name]).read())


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError) as error:
        sys.exit(f"vendor.py: {error}")
