# The two commands of the README are `make book` and `make test`; each sets up .venv first.  Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
export IGN_PROFILE ?= quick
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.PHONY: book html test notebooks clean

book: .venv/ready book/_vendor/ready ## train on MNIST live, execute every chapter, build the book
	mkdir -p _build
	sed 's/execute_notebooks: .*/execute_notebooks: force/' _config.yml > _build/config_live.yml
	PYTHONPATH=. $(BIN)/jupyter-book build . --config _build/config_live.yml -W --keep-going -n
	@echo "open _build/html/index.html"

html: .venv/ready book/_vendor/ready ## build the book from the committed outputs, in seconds
	$(BIN)/jupyter-book build . -W --keep-going -n

test: .venv/ready ## modules, then every notebook against its stored outputs
	$(BIN)/python -m pytest tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=300 -n 2 --dist loadscope notebooks

notebooks: .venv/ready ## execute all chapters in place: regenerates every figure and stored output
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=600 $(NOTEBOOKS)

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip install -q --python $(BIN)/python -e '.[book,test]'
	touch $@

book/_vendor/ready: .venv/ready book/vendor.py
	$(BIN)/python book/vendor.py
	touch $@

clean: ## everything that the other targets made, except .venv
	rm -rf _build build book/_vendor
