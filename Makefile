# Thin on purpose: every target is one plain line that works without make (see README).
# .venv is made when missing and brought up to date when
# pyproject.toml or constraints.txt change.

PYTHON = python3
VENV = .venv
RUN = $(VENV)/bin/python
# As close to Colab as can be installed here. JupyterLab 3 is the last to show the widgets of ipywidgets 7;
# it is put on top, because the package's extras ask for 4.
COLAB = .venv-colab
INSTALL_COLAB = $(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-colab.txt
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e
# make lab LAB_ARGS="--no-browser --ip=127.0.0.1"; make test TEST_ARGS="-k masks"
LAB_ARGS =
TEST_ARGS =
BENCH_ARGS =

help:
	@echo "make lab        open the first notebook in JupyterLab"
	@echo "make test       every test: unit, slow, notebooks, browser (when Chromium is found)"
	@echo "make quick      the tests that take seconds"
	@echo "make hf         the tests of the Hugging Face part, which installs transformers"
	@echo "make notebooks  execute the notebooks and write their outputs back"
	@echo "make colab      pack the wheel and the notebooks for Colab"
	@echo "make colab-test execute the notebooks, and drive the widgets, among Colab's versions"
	@echo "make checkpoints train the shipped models again (an hour or two)"
	@echo "make bench      the engine against its peers, into benchmarks/RESULTS.md (a quarter of an hour)"
	@echo "make lint       ruff and mypy"
	@echo "make format     let ruff rewrite the sources"
	@echo "make clean      remove .venv, builds and caches"

lab: $(VENV)/lab.stamp
	$(RUN) -m jupyterlab $(LAB_ARGS) notebooks/00_start_here.ipynb

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal $(TEST_ARGS)

quick: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 -m "not slow and not browser and not notebook" $(TEST_ARGS)

hf: $(VENV)/hf.stamp
	OMP_NUM_THREADS=1 $(RUN) -m pytest tests/hf $(TEST_ARGS)

notebooks: $(VENV)/test.stamp
	$(RUN) -m tools.run_notebooks

checkpoints: $(VENV)/test.stamp
	$(RUN) -m tools.train_checkpoints

colab: $(VENV)/test.stamp
	$(RUN) -m tools.pack_colab

colab-test: $(COLAB)/test.stamp
	OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest -n 2 --dist worksteal -m "notebook or colab" $(TEST_ARGS)

bench: $(VENV)/bench.stamp
	$(RUN) -m benchmarks.engine $(BENCH_ARGS)

lint: $(VENV)/test.stamp
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

format: $(VENV)/test.stamp
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

clean:
	rm -rf $(VENV) $(COLAB) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find mini_ism research tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# A half-made environment (no ensurepip, say) is removed, so that the next try starts clean.
$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/lab.stamp: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) ".[lab]"
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

$(COLAB)/test.stamp: pyproject.toml constraints-colab.txt
	test -d $(COLAB) || $(PYTHON) -m venv $(COLAB)
	$(INSTALL_COLAB) -e ".[test]"
	$(INSTALL_COLAB) jupyterlab==3.6.8 jupyterlab_widgets==1.1.11
	@touch $@

.PHONY: help lab test quick hf notebooks checkpoints colab colab-test bench lint format clean
