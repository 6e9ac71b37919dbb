"""The rules of knowledge: terms, sentences, passages, languages, scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.contracts.views import DocumentStatus
from dana.platform.folding import words
from dana.services.knowledge.actions.evaluation import abstain_f1, auroc
from dana.services.knowledge.models import lexical
from dana.services.knowledge.models.documents import clean_filename, kind_of, may_become, title_of
from dana.services.knowledge.models.grams import pieces
from dana.services.knowledge.models.language import is_english
from dana.services.knowledge.models.passages import LONG, Block, cut
from dana.services.knowledge.models.quotable import penalty
from dana.services.knowledge.models.ranking import Evidence, Nearness, confidence, fused
from dana.services.knowledge.models.sentences import sentences
from dana.services.knowledge.models.wordpiece import WordPiece


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't PANIC, snake_case!", ["don", "t", "panic", "snake", "case"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # with its vowel signs, which \w leaves out
        ("Straße ﬁnden", ["strasse", "finden"]),
    ],
)
def test_words_are_folded(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_pieces_suit_the_script() -> None:
    assert pieces("refunds") == ["_ref", "refu", "efun", "fund", "unds", "nds_"]
    assert pieces("返品方法") == ["返品", "品方", "方法"]
    assert pieces("of") == ["_of_"]


@given(st.text(max_size=300))
def test_every_term_of_a_text_covers_it(text: str) -> None:
    asked = dict.fromkeys(lexical.asked_terms(text), 1.0)
    assert lexical.coverage(asked, text) == (1.0 if asked else 0.0)
    assert set(lexical.asked_terms(text).values()) <= set(lexical.terms(text))


@given(st.integers(1, 1000), st.integers(1, 5000))
def test_a_weight_fits_its_byte(times: int, length: int) -> None:
    assert 1 <= lexical.weight(times, length) <= 255


def test_common_terms_are_left_out_first() -> None:
    found = {1: 5, 2: lexical.MOST_OCCURRENCES_READ, 3: 70}
    assert set(lexical.worth_reading(found, 100_000)) == {1, 3}
    assert set(lexical.worth_reading({2: 10**6}, 10**6)) == {2}, "a question of common words still finds"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid. He left.", ["Dr. Smith paid.", "He left."]),
        (
            "See e.g. Zurich or the U.S. Army (No. 5). Done!",
            ["See e.g. Zurich or the U.S. Army (No. 5).", "Done!"],
        ),
        ('He said "Stop." Then silence.', ['He said "Stop."', "Then silence."]),
        ("It costs 4.90 euros. free", ["It costs 4.90 euros. free"]),
        ("日本語です。次の文。", ["日本語です。", "次の文。"]),
        ("पहला वाक्य। दूसरा वाक्य।", ["पहला वाक्य।", "दूसरा वाक्य।"]),
        ("- one\n- two", ["- one", "- two"]),
        ("1. Open Orders.\n2. Print it.", ["1. Open Orders.", "2. Print it."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(st.sampled_from("ab. A\n!?é。"), max_size=4000))
def test_passages_lose_no_words_and_spans_point_at_sentences(text: str) -> None:
    passages = cut([Block(text)])
    assert "".join("".join(p.text for p in passages).split()) == "".join(text.split())
    for passage in passages:
        assert len(passage.text) <= LONG + 700
        assert "".join(" ".join(passage.sentences()).split()) == "".join(passage.text.split())


def test_short_neighbours_become_one_passage_and_headings_keep_apart() -> None:
    blocks = [Block("One.", ("A",)), Block("Two.", ("A",)), Block("Three.", ("A", "B"))]
    assert [(p.heading, p.text) for p in cut(blocks, title="A")] == [("", "One.\nTwo."), ("B", "Three.")]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How do I get a refund?", True),
        ("refund", True),
        ("Was ist der Preis?", False),
        ("¿Cómo puedo devolver un pedido?", False),
        ("Où est ma commande ?", False),
        ("Как вернуть заказ?", False),
        ("注文を返品できますか", False),
        ("Do you have a café in Zürich?", True),
        ("", True),
    ],
)
def test_language(question: str, expected: bool) -> None:
    assert is_english(question) is expected


def test_confidence_grows_with_the_evidence_and_stays_between_0_and_1() -> None:
    weak = Evidence(matched=0.2, covered=0.1, passage=0.1, sentence=0.2)
    strong = Evidence(matched=0.9, covered=1.0, passage=0.8, sentence=0.9)
    assert 0.0 < confidence(weak) < 0.05
    assert 0.95 < confidence(strong) < 1.0
    assert confidence(Evidence(matched=None, covered=1.0, passage=0.0, sentence=0.0)) > 0.5


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Backups are made every night.", "See the backup guide."),
        ("Backups are made every night.", "BACKUP_TIME=0300"),
        ("Backups are made every night.", "This guide explains backups."),
        ("- Choose Backups", "docker run --rm backup"),
    ],
)
def test_what_answers_is_quoted_before_what_points_elsewhere(better: str, worse: str) -> None:
    assert penalty(better) < penalty(worse)


def test_fusion_works_with_either_half() -> None:
    assert fused(5.0, 10.0, None) == 0.5
    assert fused(0.0, 0.0, Nearness(1.0, 1.0)) == 0.75
    assert fused(10.0, 10.0, Nearness(1.0, 1.0)) == pytest.approx(1.0)


def test_names_of_files() -> None:
    assert clean_filename("../../etc/pass\x00wd.md") == "passwd.md"
    assert clean_filename("C:\\Users\\ana\\Return policy.DOCX") == "Return policy.DOCX"
    assert title_of("return_policy-2024.md") == "Return policy 2024"
    assert kind_of("a.PDF") is not None
    assert kind_of("a.exe") is None


def test_a_searchable_document_is_final() -> None:
    assert not any(may_become(DocumentStatus.SEARCHABLE, status) for status in DocumentStatus)
    assert may_become(DocumentStatus.FAILED, DocumentStatus.QUEUED)


def test_wordpiece_takes_the_longest_pieces() -> None:
    pieces = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##afford", "##able", "cafe", "!", "日"])
    assert pieces.encode("Unaffordable CAFÉ!", 20) == [2, 4, 5, 6, 7, 8, 3]
    assert pieces.encode("日xyz", 20) == [2, 9, 1, 3]
    assert pieces.encode("cafe " * 50, 8) == [2, 7, 7, 7, 7, 7, 7, 3]


def test_scores_of_the_evaluation() -> None:
    assert auroc([0.9, 0.8], [0.1, 0.2]) == 1.0
    assert auroc([0.5, 0.5], [0.5]) == 0.5
    assert auroc([], [0.5]) is None
    assert abstain_f1([0.9, 0.4], [0.1, 0.2], 0.5) == 0.8
