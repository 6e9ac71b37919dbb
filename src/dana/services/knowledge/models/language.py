"""Tell whether a question is English; the embedding model knows no other language.

Short questions are too little for a statistical detector, so this asks for evidence to the contrary: letters
that English doesn't use, or more little words of another language than English ones.
"""

import re

from dana.services.knowledge.models.grams import word_set

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
FOREIGN_SHARE = 0.3  # of the letters: "café" in an English question is fewer

_ENGLISH = word_set(
    """a about an and any are as at be but by can could did do does for from get had has have how i if
    in is it its may me my no not of on or our should so that the their there they this to up was we
    were what when where which who why will with would you your"""
)
_OTHERS = word_set(
    """aber als auch auf aus bei bin bis das dem den der des dich die dies ein eine einen einer es für
    gibt haben hat ich ihr im ist kann kein können man mein meine mich mir mit nach nicht noch nur oder
    sich sie sind über und uns unter vom von vor wann warum was wenn wer werden wie wird wo zu zum zur
    al como con cómo cuál cuándo cuánto de del dónde el ella en es esta está este hay la las lo los mi
    mis más para pero por puedo que quién qué se ser si sin son su sus tiene un una y yo à au aux avec
    ce cette comment dans des du elle est et il je le les leur ma mes mon ne nous ou où pas peut plus
    pour pourquoi puis quand que quel quelle quels qui sa sans ses sont sur une vos votre vous alla
    anche che chi come cosa da dei della delle di dove è gli ho il mia mio nel nella non per perché più
    può quale quando questo sono ao aos com da das do dos e ela ele em eu foi isso já mais mas meu minha
    na nas no nos não o os ou pela pelo posso qual quando quem seu sua são tem um uma você aan deze dit
    een heb heeft het hoe ik je kan maar mijn naar niet ook op te van voor waar wat wie zijn att det där
    du en ett för hur inte jag kan med och om på som till vad var vi är czy dla gdzie jak jest jestem
    kiedy mam mogę na nie od po się to w z za że bir bu için ile kadar mi mı mu mü nasıl ne nerede var
    ve yok"""
)


def is_english(question: str) -> bool:
    """Return False only with evidence."""
    letters = _LETTER.findall(question)
    if not letters:
        return True
    if sum(not letter.isascii() for letter in letters) > FOREIGN_SHARE * len(letters):
        return False
    words = [word.lower() for word in _WORD.findall(question)]
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _OTHERS and word not in _ENGLISH for word in words)
    return foreign <= english
