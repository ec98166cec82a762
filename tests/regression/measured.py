"""Figures of the theory measured earlier and apart from this code, and the settings they were measured in."""

ETA, LAYERS = 0.04, 50  # as in 2308.06912

SETTINGS = {
    "causal": ("causal", 40),
    "ISM 10 x 4": ("ism", 10),
    "ISM 5 x 8": ("ism", 5),
    "ISM 2 x 20": ("ism", 2),
    "prefix": ("prefix", 1),
}
"""By name: the rule, and the number of segments that hold the examples."""

# One seed of 64 sequences, at layer 10, at layer 50 and stationary.
ONE_SEED = {
    "causal": (0.454, 0.393, 0.393),
    "ISM 10 x 4": (0.394, 0.302, 0.301),
    "ISM 5 x 8": (0.325, 0.174, 0.162),
    "ISM 2 x 20": (0.156, 0.0129, 0.0),
    "prefix": (0.077, 1.2e-4, 0.0),
}
ONE_SEED_NOISY = {"causal": 0.427, "ISM 2 x 20": 0.450, "prefix": 0.066}  # stationary, noise 0.3
