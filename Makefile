# Thin on purpose: every target is one plain line that works without make (see README).
# .venv is made when missing, or when make lab PYTHON=python3.12 asks for another Python than its own,
# and brought up to date when pyproject.toml or constraints.txt change.

PYTHON = python3
VENV = .venv
RUN = $(VENV)/bin/python
# As close to Colab as can be installed here. JupyterLab 3 is the last to show the widgets of ipywidgets 7;
# it is put on top, because the package's extras ask for 4.
COLAB = .venv-colab
INSTALL_COLAB = $(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-colab.txt
# The oldest version of everything that pyproject.toml allows.
LOWEST = .venv-lowest
INSTALL_LOWEST = $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e
# make lab LAB_ARGS="--no-browser --ip=127.0.0.1"; make test TEST_ARGS="-k masks"
LAB_ARGS =
# What asks, over a corner of the first notebook, whether JupyterLab may fetch news about itself.
NEWS = @jupyterlab/apputils-extension:announcements
# JupyterLab refuses to run as root, which is who one is in a container, unless it is told to.
AS_ROOT = $$(test "$$(id -u)" -ne 0 || echo --allow-root)
QUICK = -n 2 -m "not slow and not browser and not notebook" --ignore=tests/browser
TEST_ARGS =
HF_NOTEBOOK = tests/test_notebooks.py::test_a_fresh_run_says_what_is_committed[09_real_models]
BENCH_ARGS =

help:
	@echo "make lab        open the first notebook in JupyterLab"
	@echo "make test       every test: unit, slow, notebooks, browser (when Chromium is found)"
	@echo "make quick      the tests that take seconds"
	@echo "make lowest     the same with the oldest versions of everything that are promised to work"
	@echo "make hf         the tests of the Hugging Face part, which installs transformers"
	@echo "make notebooks  execute the notebooks and write their outputs back"
	@echo "make playground build docs/playground from the sources and the shipped models"
	@echo "make docs       build the site, playground first, into build/site"
	@echo "make colab      pack the wheel and the notebooks for Colab"
	@echo "make colab-test execute the notebooks, and drive the widgets, among Colab's versions"
	@echo "make checkpoints train the shipped models again (most of a night)"
	@echo "make bench      the engine against its peers, into benchmarks/RESULTS.md (a quarter of an hour)"
	@echo "make soak       try to lose something, and write docs/reliability.md (a quarter of an hour)"
	@echo "make lint       ruff and mypy"
	@echo "make format     let ruff rewrite the sources"
	@echo "make clean      remove .venv, builds and caches"

lab: $(VENV)/lab.stamp
	$(RUN) -m jupyterlab $(AS_ROOT) $(LAB_ARGS) notebooks/00_start_here.ipynb

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal $(TEST_ARGS)

quick: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(QUICK) $(TEST_ARGS)

lowest: $(LOWEST)/test.stamp
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest $(QUICK) $(TEST_ARGS)

hf: $(VENV)/hf.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest tests/hf "$(HF_NOTEBOOK)" $(TEST_ARGS)

notebooks: $(VENV)/test.stamp
	$(RUN) -m tools.run_notebooks

checkpoints: $(VENV)/test.stamp
	$(RUN) -m tools.train_checkpoints

playground: $(VENV)/test.stamp
	$(RUN) -m tools.build_playground

docs: $(VENV)/docs.stamp
	$(RUN) -m tools.build_playground
	$(RUN) -m sphinx -W -c docs/site -d build/doctrees . build/site

colab: $(VENV)/test.stamp
	$(RUN) -m tools.pack_colab

colab-test: $(COLAB)/test.stamp
	OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest -n 2 --dist worksteal -m "notebook or colab" $(TEST_ARGS)

bench: $(VENV)/bench.stamp
	$(RUN) -m benchmarks.engine $(BENCH_ARGS)

bench-gpu: $(VENV)/bench.stamp
	$(RUN) -m benchmarks.gpu $(BENCH_ARGS)

soak: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks.soak

lint: $(VENV)/test.stamp
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

format: $(VENV)/test.stamp
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

clean:
	rm -rf $(VENV) $(COLAB) $(LOWEST) build dist docs/site/api .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find mini_ism research tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Asked for each time, and left alone if it will do.
$(VENV)/pyvenv.cfg $(COLAB)/pyvenv.cfg $(LOWEST)/pyvenv.cfg: always
	@$(PYTHON) tools/environment.py $(@D) $(PYTHON)

always:

$(VENV)/lab.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[lab]"
	$(RUN) -m jupyter labextension disable --level=sys_prefix $(NEWS)
	@touch $@

$(VENV)/test.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[test]"
	@touch $@

$(VENV)/bench.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[bench]"
	@touch $@

$(VENV)/hf.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[test,hf]"
	@touch $@

$(VENV)/docs.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[docs]"
	@touch $@

$(COLAB)/test.stamp: $(COLAB)/pyvenv.cfg pyproject.toml constraints-colab.txt
	$(INSTALL_COLAB) -e ".[test]"
	$(INSTALL_COLAB) jupyterlab==3.6.8 jupyterlab_widgets==1.1.11
	@touch $@

$(LOWEST)/test.stamp: $(LOWEST)/pyvenv.cfg pyproject.toml constraints-lowest.txt
	$(INSTALL_LOWEST) -e ".[test]"
	@touch $@

.PHONY: always help lab test quick lowest hf notebooks checkpoints playground docs colab colab-test bench bench-gpu soak lint format clean
