"""Pictures of the regression say what they show."""

import numpy as np
import pytest

from mini_ism.views import error_figure, path_figure


def test_pictures_say_what_they_show() -> None:
    errors = np.array([[4.0, 6.0], [1.0, 3.0]])
    figure = error_figure({"ism": errors}, [0, 1], x_label="layers", ends={"ism": 0.5})
    assert "layers 0 to 1" in figure.alt
    assert "ism 5 to 2 (in the end 0.5)" in figure.alt
    with pytest.raises(ValueError, match="'ism' has shape"):
        error_figure({"ism": errors}, [0, 1, 2], x_label="layers")
    paths = {"prefix": [[0.0, 0.0], [1.0, 0.0]]}
    picture = path_figure(paths, [[1.0, 0.0], [1.0, 1.0]], [1.0, 2.0], [1.0, 1.0])
    assert "2 examples" in picture.alt
    assert "prefix: 1 step, ending 1.00 from the answer" in picture.alt
    for drawn in (figure, picture):
        assert set(drawn._repr_mimebundle_()[0]) == {"text/plain", "image/png"}
