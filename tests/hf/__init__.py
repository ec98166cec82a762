"""Tests of :mod:`mini_ism.hf`, on tiny random models: skipped, visibly, where transformers is not installed."""

import pytest

pytest.importorskip("transformers", minversion="5", reason='needs `pip install "mini-ism[hf]"`')
