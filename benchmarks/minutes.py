"""How long the README's two commands take: `make minutes`.

Runs `make book` and `make test` after each other, set-up aside, on a machine that should be idle otherwise, writes
ignbook/shipped/results/minutes.json, and puts the sentence into the README.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import torch

import ignbook.checkpoints
import ignbook.data

ROOT = Path(__file__).resolve().parent.parent
MARK = "<!-- make minutes -->"
OUT = ignbook.checkpoints.shipped("results") / "minutes.json"


def sentence(result: dict) -> str:
    """What the README says, word for word."""
    book, test = (max(round(result["seconds"][command] / 60), 1) for command in ("make book", "make test"))
    return f"On {result['cores']} idle CPU cores `make book` takes {book} minutes and `make test` takes {test}."


def main() -> None:
    load, seconds = os.getloadavg()[0], {}
    if load > 0.5:
        print(f"other work is going on here (load {load:.1f}): these will not be the minutes of an idle machine")
    for command in ("make book", "make test"):
        began = time.perf_counter()
        subprocess.run(command.split(), cwd=ROOT, check=True)
        seconds[command] = round(time.perf_counter() - began)
    data = {name: ignbook.data.load(name).card["name"] for name in ("mnist", "celeba64")}
    result = {
        "seconds": seconds,
        "cores": os.cpu_count(),
        "load before": round(load, 2),
        "data": data,
        "torch": torch.__version__,
    }
    ignbook.checkpoints.write_json(OUT, result)
    readme = ROOT / "README.md"
    text = re.sub(f"(?<={MARK}).*(?=<!-- -->)", sentence(result), readme.read_text(encoding="utf-8"))
    ignbook.checkpoints.write_file(readme, text.encode())
    print(sentence(result))


if __name__ == "__main__":
    main()
