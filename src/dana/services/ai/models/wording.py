"""What the embedded assistant says in its own words, and the words it understands without a model.

Everything else it says is quoted. Languages beyond these fall back to English.
"""

from dataclasses import dataclass

DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Wording:
    """The assistant's own sentences in one language."""

    greeting: str
    thanks: str
    clarify: str
    clarify_between: str
    """Takes the titles of what may be meant."""
    uncovered: str
    gladly: str
    failed: str


WORDINGS = {
    "en": Wording(
        greeting="Hello! How can I help you?",
        thanks="You're welcome! Is there anything else I can help you with?",
        clarify="Could you tell me a little more, so that I can find the right answer?",
        clarify_between="Could you tell me a little more? For example, is it about {}?",
        uncovered="I couldn't find an answer to that in our help pages.",
        gladly="Of course.",
        failed="I'm sorry, I can't answer that right now.",
    ),
    "de": Wording(
        greeting="Hallo! Wie kann ich helfen?",
        thanks="Gern geschehen! Kann ich sonst noch etwas tun?",
        clarify="Können Sie mir etwas mehr dazu sagen, damit ich die richtige Antwort finde?",
        clarify_between="Können Sie mir etwas mehr dazu sagen? Geht es zum Beispiel um {}?",
        uncovered="Dazu habe ich in unseren Hilfeseiten keine Antwort gefunden.",
        gladly="Natürlich.",
        failed="Entschuldigung, das kann ich gerade nicht beantworten.",
    ),
    "fr": Wording(
        greeting="Bonjour ! Comment puis-je vous aider ?",
        thanks="Avec plaisir ! Puis-je encore vous aider ?",
        clarify="Pouvez-vous préciser un peu, pour que je trouve la bonne réponse ?",
        clarify_between="Pouvez-vous préciser un peu ? S'agit-il par exemple de {} ?",
        uncovered="Je n'ai pas trouvé de réponse à cela dans nos pages d'aide.",
        gladly="Bien sûr.",
        failed="Désolé, je ne peux pas répondre pour le moment.",
    ),
    "es": Wording(
        greeting="¡Hola! ¿En qué puedo ayudarle?",
        thanks="¡De nada! ¿Puedo ayudarle en algo más?",
        clarify="¿Puede contarme un poco más, para que encuentre la respuesta correcta?",
        clarify_between="¿Puede contarme un poco más? ¿Se trata, por ejemplo, de {}?",
        uncovered="No he encontrado una respuesta a eso en nuestras páginas de ayuda.",
        gladly="Por supuesto.",
        failed="Lo siento, ahora mismo no puedo responder a eso.",
    ),
}

LANGUAGE_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr", "francais": "fr",
    "spanish": "es", "español": "es", "espanol": "es",
}  # fmt: skip

# How a default sentence of the settings is said in other languages, where the organization left it as it was.
HAND_OVER = {
    "de": "Ich übergebe an einen Menschen aus unserem Team, der Ihnen hier antwortet.",
    "fr": "Je vous passe une personne de notre équipe, qui vous répondra ici.",
    "es": "Le paso con una persona de nuestro equipo, que le responderá aquí.",
}

# Words that tell a language in a short message; each stands in one language only.
TELLING = {
    "en": {"the", "is", "what", "how", "my", "you", "please", "can", "do", "hello", "hi", "thanks", "where"},
    "de": {"der", "die", "das", "ist", "wie", "ich", "nicht", "bitte", "und", "hallo", "danke", "kann", "wo"},
    "fr": {"le", "est", "je", "vous", "bonjour", "merci", "comment", "mon", "quel", "puis", "où", "pas"},
    "es": {"el", "los", "cómo", "hola", "gracias", "mi", "puedo", "qué", "dónde", "quiero", "por", "cuál"},
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GREETINGS = _words(
    "hi hello hey heya hiya howdy greetings hallo moin servus hola bonjour salut bonsoir ciao buongiorno"
)
GREETING_PHRASES = (
    "good morning", "good afternoon", "good evening", "good day", "guten morgen", "guten tag", "guten abend",
    "grüß gott", "buenos días", "buenos dias", "buenas tardes", "buenas noches",
)  # fmt: skip
THANKS = _words(
    "thanks thank thx ty cheers danke dankeschön merci gracias grazie obrigado bye goodbye tschüss adiós"
)
CONSENT = _words("ok okay great perfect awesome super cool nice alright fine genial vale parfait understood")
FILLERS = _words(
    "there everyone all team you your so much very a lot for the help it that is how are going again and "
    "dear sir madam vielen viele schön für die hilfe dir ihnen muchas muchísimas por la ayuda beaucoup pour "
    "votre aide got i was helpful me"
)

# Words that carry no topic: a message of only these says nothing that could be looked up.
EMPTY = _words(
    "a an the i me my we our you your it its this that these those is are was were be been am do does did "
    "can could would should will shall may might must have has had not no yes of in on at to for from with "
    "by about and or but if so as what which who when where why how please help helping need want question "
    "questions problem problems issue issues info information something anything thing things trouble some "
    "any more there here just also got get hi hello hey thanks ok okay "
    "hilfe bitte frage ich habe eine ein brauche ayuda pregunta problema tengo una aide problème j'ai une un"
)

_PERSON = (
    r"(?:humans?|persons?|people|agents?|someone|somebody|representatives?|reps?|operators?|advisors?|"
    r"colleagues?|staff|manager|supervisor|support team|real one|mensch(?:en)?|mitarbeiter(?:in)?|"
    r"berater(?:in)?|persona|humano|agente|humain|personne|conseiller)"
)
_SPEAK = r"(?:speak|talk|chat|connect(?: me)?|transfer(?: me)?|escalate|put me through|hand me over)"
_WANT = r"(?:need|want|get|give me|may i have|can i have|i'd like|prefer)"
_ARTICLES = r"(?:(?:to|a|an|the|some|your|real|actual|live|human)\s+)*"
_ALONE = r"(?=\s*(?:[.?!,]|please|now|instead|here|to (?:talk|help|speak|answer|call)|$))"
WANTS_PERSON = (
    rf"\b{_SPEAK}\b[^.?!\n]{{0,30}}\b(?:to|with)\b[^.?!\n]{{0,25}}\b{_PERSON}\b",
    rf"\b{_WANT}\s+{_ARTICLES}(?:human|person|agent|representative|operator|someone|somebody)\b{_ALONE}",
    r"\b(?:real|actual|live)\s+(?:human|person|agent|people)\b",
    rf"^\W*(?:(?:an?|the)\s+)?{_PERSON}(?:\s+(?:please|now|bitte|por favor))?\W*$",
    r"\bhuman\s+(?:agent|support|being|help)\b",
    r"\b(?:not|don't|stop)\b[^.?!\n]{0,30}\b(?:ro)?bot\b",
    rf"\bmit\b[^.?!\n]{{0,20}}\b{_PERSON}\b[^.?!\n]{{0,20}}\b(?:sprechen|reden|schreiben|verbinden)\b",
    rf"\b(?:hablar|chatear)\s+con\b[^.?!\n]{{0,20}}\b{_PERSON}\b",
    rf"\bparler\s+(?:à|avec|a)\b[^.?!\n]{{0,20}}\b{_PERSON}\b",
)
UNWANTED = r"\b(?:don't|do not|no need to|rather not|without|never)\b[^.?!\n]{0,25}$"
