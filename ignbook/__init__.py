"""What serves the book: data, measures, figures, recipes, and what the method is compared with.  `ign_core` is the method itself.

`import ignbook` is enough: `ignbook.data`, `ignbook.plots` and the others load when they are first named.
"""

import importlib

MODULES = (
    "arrays",
    "baselines",
    "checkpoints",
    "checks",
    "claims",
    "costs",
    "data",
    "exchange",
    "exercises",
    "latent",
    "layers",
    "metrics",
    "notebooks",
    "panels",
    "plots",
    "projector",
    "recipes",
    "remedies",
    "settling",
    "sources",
    "tables",
    "theory",
)


def __getattr__(name: str):
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its modules are {', '.join(MODULES)}.")
