"""Exports of KakaoTalk: every program's format, what is no text, days, masks, turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data.corpus import parse_turns
from yoyak.data.kakaotalk import ChatMessage, chat_dialogue, read_chat

WINDOWS = """지수 님과 카카오톡 대화
저장한 날짜 : 2026-07-02 12:00:00

--------------- 2026년 7월 1일 수요일 ---------------
[김지수] [오전 9:00] 내일 몇 시에 볼까?
[민호 [팀장]] [오전 9:01] 세 시요.
정문에서 봐요.
[김지수] [오전 9:02] 사진
민호 [팀장]님이 박서준님을 초대했습니다.
--------------- 2026년 7월 2일 목요일 ---------------
[김지수] [오후 1:10] 도착!
"""
IOS = """Talk_2026.7.2 12:00-1.txt
저장한 날짜 : 2026. 7. 2. 오후 12:00

2026년 7월 1일 수요일
2026. 7. 1. 오전 9:00, 김지수 : 내일 몇 시에 볼까?
2026. 7. 1. 오전 9:01, 민호 [팀장] : 세 시요.
정문에서 봐요.
2026. 7. 1. 오전 9:02, 김지수 : 사진 3장
2026. 7. 1. 오전 9:03: 민호 [팀장]님이 박서준님을 초대했습니다.
운영정책을 위반한 메시지는 제한될 수 있습니다.
2026년 7월 2일 목요일
2026. 7. 2. 오후 1:10, 김지수 : 도착!
"""
MAC = """Date,User,Message
2026-07-01 09:00:00,"김지수","내일 몇 시에 볼까?"
2026-07-01 09:01:00,"민호 [팀장]","세 시요.
정문에서 봐요."
2026-07-01 09:02:00,"김지수","(이모티콘) "
2026-07-01 09:03:00,"민호 [팀장]","민호 [팀장]님이 박서준님을 초대했습니다."
2026-07-02 13:10:00,"김지수","도착!"
"""
ENGLISH = """김지수 KakaoTalk Chats with 김지수
Date Saved : July 2, 2026 at 12:00 PM

Wednesday, July 1, 2026
July 1, 2026 at 9:00\u202fAM, 김지수 : 내일 몇 시에 볼까?
Jul 1, 2026, 9:01 a.m., 민호 [팀장] : 세 시요.
정문에서 봐요.
July 1, 2026, 9:02 AM, 김지수 : Photo
July 1, 2026, 9:03 AM, 민호 [팀장] invited 박서준.
July 2, 2026, 1:10 PM, 김지수 : 도착!
"""
EXPORTS = {
    "Windows": WINDOWS,
    "Windows, CRLF and BOM": "\ufeff" + WINDOWS.replace("\n", "\r\n"),
    "Windows in English": WINDOWS.replace("2026년 7월 1일 수요일", "Wednesday, July 1, 2026")
    .replace("2026년 7월 2일 목요일", "Thursday, July 2, 2026")
    .replace("오전 9:00", "9:00 AM"),
    "iOS": IOS,
    "iOS, 24 hours": IOS.replace("오전 9:", "9:").replace("오후 1:10", "13:10"),
    "Android": IOS.replace(". 7. 1. ", "년 7월 1일 ").replace(". 7. 2. ", "년 7월 2일 "),
    "Android of 2026": IOS.replace("2026. 7. 1. ", "2026-07-01 ").replace(
        "2026. 7. 2. ", "2026-07-02 "
    ),
    "macOS": MAC,
    "English": ENGLISH.removeprefix("김지수 "),
}


@pytest.mark.parametrize("exported", EXPORTS.values(), ids=EXPORTS)
def test_every_export_of_one_chat_is_the_same_messages(exported):
    chat = read_chat(exported)
    assert chat.messages == (
        ChatMessage("김지수", "내일 몇 시에 볼까?", "2026-07-01"),
        ChatMessage("민호 [팀장]", "세 시요. 정문에서 봐요.", "2026-07-01"),
        ChatMessage("김지수", "도착!", "2026-07-02"),
    )
    assert chat.left_out == 2
    assert chat.days == {"2026-07-01": 2, "2026-07-02": 1}


@pytest.mark.parametrize(
    "text",
    ["", "#Person1#: 안녕\n#Person2#: 네", "지수: 안녕\n민호: 응", "Date,User,Message", "그냥 글"],
)
def test_other_texts_are_no_export(text):
    assert read_chat(text) is None


@pytest.mark.parametrize("rows", [2, 8_000], ids=["short", "longer than csv's limit"])
def test_a_csv_whose_quote_is_never_closed_is_no_export(rows):
    lines = ['2026-07-01 09:00:00,"지수","안녕', *["2026-07-01 09:01:00,민호,네"] * rows]
    assert read_chat("\n".join(["Date,User,Message", *lines])) is None


def test_a_copied_piece_without_a_head_is_read():
    assert read_chat("[지수] [오후 2:30] 안녕\n[민호] [오후 2:31] 네").messages == (
        ChatMessage("지수", "안녕", None),
        ChatMessage("민호", "네", None),
    )


def test_messages_in_a_row_are_one_turn_and_speakers_are_tags():
    chat = read_chat(WINDOWS + "[김지수] [오후 1:11] 정문 앞이야\n[민호 [팀장]] [오후 1:12] 가요")
    dialogue = chat_dialogue(chat.messages, mask=False)
    assert dialogue.text == (
        "#Person1#: 내일 몇 시에 볼까?\n#Person2#: 세 시요. 정문에서 봐요.\n"
        "#Person1#: 도착! 정문 앞이야\n#Person2#: 가요"
    )
    assert dialogue.by_name == {"김지수": "#Person1#", "민호 [팀장]": "#Person2#"}
    assert dialogue.masked == {}


def test_names_and_numbers_are_masked_only_on_request():
    said = (
        ChatMessage("홍길동", "민호야, @김민호 번호 010-1234-5678 맞아?", None),
        ChatMessage("김민호", "길동이한테 준 계좌는 110-234-567890, 메일은 a.b@c.co.kr", None),
    )
    assert chat_dialogue(said, mask=False).text.splitlines() == [
        f"#Person{number}#: {one.text}" for number, one in enumerate(said, 1)
    ]
    masked = chat_dialogue(said, mask=True)
    assert masked.text.splitlines() == [
        "#Person1#: #Person2#야, #Person2# 번호 #PhoneNumber# 맞아?",
        "#Person2#: #Person1#이한테 준 계좌는 #CardNumber#, 메일은 #Email#",
    ]
    assert masked.masked == {"#PhoneNumber#": 1, "#CardNumber#": 1, "#Email#": 1}


def test_a_given_name_of_two_senders_is_left_alone():
    said = tuple(ChatMessage(name, "지수 어디야?", None) for name in ("김지수", "이지수"))
    assert "지수 어디야?" in chat_dialogue(said, mask=True).text


def test_the_newest_turns_are_kept_when_it_is_too_long():
    said = tuple(ChatMessage(name, f"{n}번", None) for n in range(300) for name in ("가", "나"))
    dialogue = chat_dialogue(said, mask=False, most_characters=200)
    assert len(dialogue.text) <= 200
    assert dialogue.text.endswith("299번")


names = st.text("가나다라[]:,. ", min_size=1, max_size=6).filter(lambda one: one.strip() == one)
texts = st.text("가나다 .,?!0", min_size=1, max_size=12).filter(lambda one: one.strip())


@given(st.lists(st.tuples(names, texts), min_size=1, max_size=8))
def test_what_windows_writes_is_read_back(said):
    lines = [f"[{name}] [오후 {1 + place}:05] {text}" for place, (name, text) in enumerate(said)]
    found = read_chat("\n".join(lines))
    assert [(one.name, one.text) for one in found.messages] == [
        (name, " ".join(text.split())) for name, text in said
    ]
    turns = parse_turns(chat_dialogue(found.messages, mask=True).text)
    assert len({turn.speaker for turn in turns}) == len({name for name, _ in said})
