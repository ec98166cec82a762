"""Sweeps of runs, and the report on what they found. Not part of the installed package.

A module describes a sweep, with all its configs, and registers it with :func:`research.registry.register_sweep`. That
is all it takes to be run, resumed and reported by ``python -m research``.
"""
