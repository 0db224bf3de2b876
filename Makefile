# The two commands of the README are `make book` and `make test`; each sets up .venv first.  Python 3.11 to 3.14.
PYTHON ?= python3
BIN := .venv/bin
CHAPTERS ?= $(wildcard notebooks/*.ipynb)
export IGN_PROFILE ?= quick
# one thread for each chapter, and two chapters at a time: faster than the reverse, and sums keep their order
export OMP_NUM_THREADS ?= 1
# what book/weights.py writes for the projector's page; it writes all of them, so one stands for all
WEIGHTS := book/_weights/lab-weights-mnist.js

.PHONY: book html colab test chapters notebooks margins minutes lint constraints clean

book: .venv/ready book/_vendor/ready $(WEIGHTS) ## train on MNIST live, execute every chapter, build the book
	rm -rf _build/live && mkdir -p _build/live
	cp -R _config.yml _toc.yml book notebooks _build/live
	$(BIN)/python -m ignbook.notebooks $(patsubst %,_build/live/%,$(wildcard notebooks/*.ipynb))
	$(BIN)/jupyter-book build _build/live --path-output . -W --keep-going -n
	@echo "open _build/html/index.html"

html: .venv/ready book/_vendor/ready $(WEIGHTS) ## build the book from the committed outputs, in seconds
	$(BIN)/jupyter-book build . -W --keep-going -n

colab: .venv/ready book/_vendor/ready $(WEIGHTS) ## plain notebooks for Colab and GitHub from the chapters, in _build/colab
	rm -rf _build/colab
	$(BIN)/jupyter-book build . --builder custom --custom-builder colab -W --keep-going -n
	rm -rf _build/colab/_static # the style of pages
	cp LICENSE* _build/colab

test: .venv/ready $(WEIGHTS) ## modules, then every chapter against its stored outputs
	$(BIN)/python -m pytest -n 2 tests
	$(MAKE) chapters

chapters: .venv/ready ## the second half of that; CHAPTERS=notebooks/06_mnist.ipynb for one
	IGN_STRICT=1 $(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=600 -n 2 --dist loadscope $(CHAPTERS)

notebooks: .venv/ready ## execute all chapters in place: regenerates every figure and stored output
	IGN_STRICT=1 $(BIN)/python -m ignbook.notebooks $(CHAPTERS)

margins: .venv/ready ## how far the claims of live trainings are from failing; an hour
	$(BIN)/python experiments/margins.py

minutes: .venv/ready ## time the two commands of the README, and write what it says of them
	$(BIN)/python benchmarks/minutes.py

lint: .venv/ready ## style and types
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

constraints: .venv/ready ## newest versions that go together, into constraints.txt
	$(BIN)/$$(sed -n '2s/^# *//p' constraints.txt) --upgrade

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "Python 3.11 to 3.14 is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[book,test]'
	touch $@

book/_vendor/ready: .venv/ready book/vendor.py
	$(BIN)/python book/vendor.py
	touch $@

$(WEIGHTS): .venv/ready book/weights.py book/lab/models.js $(wildcard ignbook/shipped/checkpoints/*)
	$(BIN)/python book/weights.py

clean: ## everything that the other targets made, except .venv
	rm -rf _build build book/_vendor book/_weights
