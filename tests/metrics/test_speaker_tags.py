"""Tags are found in running text and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics import speaker_tags


def test_tags_in_running_text():
    text = "#Person1#과 #Person12#가 #PhoneNumber#로 걸었다. #1번 #해시태그"
    assert speaker_tags.TAG.findall(text) == ["#Person1#", "#Person12#", "#PhoneNumber#"]
    assert speaker_tags.strip(text) == "과 가 로 걸었다. #1번 #해시태그"
    assert speaker_tags.spaced("#Person1#은") == " #Person1# 은"


@given(st.text(alphabet="#Person1가 ", max_size=40))
def test_pieces_are_the_text(text):
    pieces = speaker_tags.pieces(text)
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.text for piece in pieces if piece.is_tag] == speaker_tags.TAG.findall(text)
