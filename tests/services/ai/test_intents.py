"""What the assistant understands without the knowledge."""

import pytest

from dana.services.ai.models.intents import Intent, candidates, intent_of, language_of, topic_words


@pytest.mark.parametrize(
    "message",
    [
        "Can I talk to a human?",
        "I want to speak with a real person please",
        "human",
        "Agent please!",
        "connect me to someone from support team",
        "I'd like to talk to your manager",
        "I need a person",
        "let me chat with an actual human being",
        "I\N{RIGHT SINGLE QUOTATION MARK}m not talking to a bot",
        "Hello. I don't understand. Can I get a human agent?",
        "Ich möchte mit einem Menschen sprechen",
        "quiero hablar con una persona",
        "je veux parler à un humain",
        "stop this bot",
    ],
)
def test_an_explicit_wish_for_a_person(message: str) -> None:
    assert intent_of(message) is Intent.PERSON


@pytest.mark.parametrize(
    "message",
    [
        "How do I add an agent to my team?",
        "What does an agent cost per month?",
        "How many people can share an account?",
        "I don't want to talk to a person, just tell me the price",
        "Can someone else pick up my parcel?",
        "Do I need someone to be home for the delivery?",
        "How do I connect Slack to Dana?",
        "Does the chat work without a person in the office?",
        "How do I transfer my account to a new owner?",
        "I need an agent license key",
    ],
)
def test_no_wish_for_a_person(message: str) -> None:
    assert intent_of(message) is Intent.QUESTION


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("Hi", Intent.GREETING),
        ("hello there!", Intent.GREETING),
        ("Good morning 🙂", Intent.GREETING),
        ("Guten Tag", Intent.GREETING),
        ("Hi, how are you?", Intent.GREETING),
        ("Thanks a lot!", Intent.THANKS),
        ("ok great, thank you for your help", Intent.THANKS),
        ("vielen Dank", Intent.QUESTION),
        ("danke", Intent.THANKS),
        ("merci beaucoup", Intent.THANKS),
        ("help", Intent.NOTHING),
        ("???", Intent.NOTHING),
        ("I have a question", Intent.NOTHING),
        ("", Intent.NOTHING),
        ("👍", Intent.NOTHING),
        ("refund", Intent.QUESTION),
        ("Hi, where is my order?", Intent.QUESTION),
        ("Thanks, but how long does it take?", Intent.QUESTION),
    ],
)
def test_small_talk_and_nothing(message: str, intent: Intent) -> None:
    assert intent_of(message) is intent


def test_a_greeting_in_front_is_cut_off() -> None:
    assert candidates("Hello there, can I return shoes?") == ["can I return shoes?"]
    assert candidates("Hi!") == ["Hi!"]


def test_the_question_of_a_long_message_stands_by_itself_too() -> None:
    message = (
        "Hi team, last week I bought a pair of red shoes for my daughter at your shop. They are too small. "
        "Can I return them without the box?"
    )
    whole, asking = candidates(message)
    assert whole.startswith("last week")
    assert asking == "Can I return them without the box?"


def test_topic_words_leave_the_empty_ones_out() -> None:
    assert topic_words("Can you help me with my order, please?") == ["order"]


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("How can I pay?", "en"),
        ("Wie kann ich bezahlen?", "de"),
        ("Comment puis-je payer ?", "fr"),
        ("¿Cómo puedo pagar?", "es"),
        ("pay", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_message(message: str, language: str) -> None:
    assert language_of(message) == language
