"""Personal details are taken out of what a model server gets to read, and put back into its answer.

Cards are told from other numbers by Luhn's check digit, bank accounts by ISO 7064 mod 97.
"""

import re
from dataclasses import dataclass, field

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", re.IGNORECASE | re.ASCII)
_CARD = re.compile(r"(?<![\w+])\d(?:[ -]?\d){12,18}(?!\w)")
_PHONE = re.compile(r"(?<![\w.,:/-])(?:\+|00)?\(?\d(?:[ ().\-/]{0,2}\d){6,16}(?!\w)")
_DATE = re.compile(r"^\d{4}[-./]\d{1,2}[-./]\d{1,2}$|^\d{1,2}[-./]\d{1,2}[-./]\d{2,4}$")
_IBAN_LENGTH = (15, 34)  # Norway's, and the longest the standard allows
_PLACEHOLDER = re.compile(r"\[(?:email|phone|card|iban) \d+\]")


@dataclass(slots=True)
class Redaction:
    """The personal details of one request, so that the same one has the same placeholder throughout."""

    _placeholders: dict[str, str] = field(default_factory=dict)

    def hide(self, text: str) -> str:
        """Replace e-mail addresses, bank accounts, cards and telephone numbers by placeholders."""
        text = _EMAIL.sub(lambda found: self._placeholder("email", found.group()), text)
        text = _IBAN.sub(lambda found: self._hide_account(found.group()), text)
        text = _CARD.sub(lambda found: self._if(is_card(found.group()), "card", found.group()), text)
        return _PHONE.sub(lambda found: self._if(_is_phone(found.group()), "phone", found.group()), text)

    def show(self, text: str) -> str:
        """Put the details back where an answer repeats their placeholders."""
        originals = {placeholder: original for original, placeholder in self._placeholders.items()}
        return _PLACEHOLDER.sub(lambda found: originals.get(found.group(), found.group()), text)

    def _hide_account(self, text: str) -> str:
        """Hide an account number; the words behind it may look like more of its groups."""
        groups = text.split(" ")
        for end in range(len(groups), 0, -1):
            account = " ".join(groups[:end])
            if is_iban(account):
                return " ".join([self._placeholder("iban", account), *groups[end:]])
        return text

    def _if(self, is_detail: bool, kind: str, original: str) -> str:
        return self._placeholder(kind, original) if is_detail else original

    def _placeholder(self, kind: str, original: str) -> str:
        if original not in self._placeholders:
            number = 1 + sum(made.startswith(f"[{kind} ") for made in self._placeholders.values())
            self._placeholders[original] = f"[{kind} {number}]"
        return self._placeholders[original]


def is_card(text: str) -> bool:
    """Check the last digit of a card number (Luhn, ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return sum(doubled + digits[-1::-2]) % 10 == 0 and any(digits)


def is_iban(text: str) -> bool:
    """Check the digits of an international bank account number (ISO 13616, mod 97)."""
    plain = text.replace(" ", "").upper()
    if not _IBAN_LENGTH[0] <= len(plain) <= _IBAN_LENGTH[1]:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _is_phone(text: str) -> bool:
    """Tell a telephone number from an order number: it is written in groups, or begins with + or 0."""
    if _DATE.match(text):
        return False
    is_grouped = any(character in " ()-/" for character in text.strip())
    return is_grouped or text.startswith(("+", "0"))
