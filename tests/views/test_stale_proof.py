"""A question answered twice, side by side."""

from mini_ism.blind_cache import answer_blindly
from mini_ism.views import stale_proof
from mini_ism.widgets.panel import EXAMPLE
from tests.small_models import small


def test_a_proof_marks_where_answers_part() -> None:
    turn = answer_blindly(*small("prefix", 1), EXAMPLE, longest=6)[1]
    drawn = stale_proof(turn, "<prefix>")
    assert "<prefix>" not in drawn
    differing = sum(right != blind for right, blind, _ in turn.pieces)
    assert drawn.count('class="mi-differs"') == 2 * differing
