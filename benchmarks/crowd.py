"""A crowd: fills a migrated shard with the conversations of two years, half of them one organization's.

PostgreSQL makes the rows itself, each from its conversation's number, so two connections can write different
tables at the same time and agree. Only the phrases and names come from here. Conversations, contacts and
messages that are there already are thrown away; indexes are rebuilt from their own definitions.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from benchmarks import crowd_rows as rows
from dana.contracts.ids import OrgId
from dana.services.conversations.models.finding import key_range, search_keys

VOCABULARY = 12_000  # words of each language, most of them rare
SHORT_WORDS = 200  # with two syllables there are few more
SMALL_ORGANIZATIONS = 3_000
KEY_RANGES = 8  # of the 1,024 in which the index keeps organizations apart; a small one shares its with 375
SORT_MEMORY = "768MB"

ONCE = "xylophone"  # in one message, the organization's oldest
SELDOM = "kilimanjaro"  # in ten messages of the organization, evenly spread
FOOTERS = (
    "sent from my phone",
    "kind regards from the team",
)  # each in every tenth message, never in the same

FREQUENT = {
    "en": "the to and my order is i it you not for have of in this please that can with on but how do we",
    "es": "de la que el en y a los se del por con no una su para es al lo como más pero sus le ya o este",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an",
    "fr": "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il sont",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à",
    "ru": "и в не на я быть он с что а по это она этот к но они мы весь который из у вы так за от ты",  # noqa: RUF001
    "ja": "注文 返品 配送 返金 商品 届く 確認 お願い 住所 変更 問い合わせ 支払い 領収書 電話 予約 明日",
}
SHARES = (40, 15, 15, 10, 8, 7, 5)
LATIN = "ba ce di fo gu ha ji ko lu ma ne pi ro su ta ve wi xa yo za bre cla dro flu gra pre sta tri"
SYLLABLES = {
    "ru": "ба ве ги до жу за ки ла мо ну пе ра со ту фи ха це чо ша",  # noqa: RUF001
    "ja": "東 京 大 阪 名 古 屋 横 浜 神 戸 福 岡 札 幌 仙 台 広 島 駅 前 店 舗",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """The organization that gets half of all: it, its first inbox and its first agent exist already."""

    org_id: OrgId
    inbox_id: UUID
    agent_id: UUID


async def fill(shard: str, conversations: int, owner: Owner) -> None:
    """Fill the shard at this administrator's address; there are three messages a conversation."""
    setup, people, talk = [await asyncpg.connect(shard) for _ in range(3)]
    try:
        await setup.execute(rows.SCHEMA)
        organizations = [
            owner.org_id,
            *itertools.islice(small_organizations(owner.org_id), SMALL_ORGANIZATIONS),
        ]
        await _copy(setup, "organizations", [(org_id, key_range(org_id)) for org_id in organizations])
        await _copy(setup, "phrases", [(text, search_keys(owner.org_id, text)) for text in phrases()])
        await _copy(
            setup,
            "faces",
            [(name, box, search_keys(owner.org_id, name, f"{box}@shop.test")) for name, box in faces()],
        )
        await setup.execute(rows.organizations(conversations, owner.inbox_id, owner.agent_id))
        await setup.execute(rows.numbered(conversations))
        await asyncio.gather(
            _rebuild(people, ("contacts", "conversations"), rows.CONTACTS, rows.CONVERSATIONS),
            _rebuild(talk, ("messages",), rows.MESSAGES),
        )
        await setup.execute(rows.COUNTS)
        await setup.execute("drop schema crowd cascade")
        await setup.execute("vacuum (analyze, freeze)")
        await setup.execute("checkpoint")
    finally:
        for connection in (setup, people, talk):
            await connection.close()


def small_organizations(big: OrgId) -> Iterator[OrgId]:
    """Name the others: those that share the big one's range of keys, or one of a few beside it."""
    ranges = {key_range(big)}
    for number in itertools.count(rows.FIRST_ORGANIZATION):
        org_id = OrgId(UUID(int=number))
        if len(ranges) < KEY_RANGES:
            ranges.add(key_range(org_id))
        if key_range(org_id) in ranges:
            yield org_id


def phrases() -> Iterator[str]:
    """Make the pieces that messages are made of; the words of each language follow Zipf's law."""
    chance = random.Random(7)
    yield from ("", *FOOTERS, ONCE, SELDOM)
    vocabularies = {language: _vocabulary(language, chance) for language in FREQUENT}
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(VOCABULARY)))
    for language in chance.choices(list(FREQUENT), SHARES, k=rows.PHRASES - rows.MARKED):
        words = chance.choices(vocabularies[language], cum_weights=weights, k=chance.randint(2, 6))
        yield ("" if language == "ja" else " ").join(words)


def faces() -> Iterator[tuple[str, str]]:
    """Make names, and what stands before the number in an e-mail address."""
    chance = random.Random(8)
    firsts = ["".join(chance.choices(LATIN.split(), k=2)) for _ in range(400)]
    lasts = ["".join(chance.choices(LATIN.split(), k=3)) for _ in range(4_000)]
    for _ in range(rows.FACES):
        first, last = chance.choice(firsts), chance.choice(lasts)
        yield f"{first.title()} {last.title()}", f"{first}.{last}"


def _vocabulary(language: str, chance: random.Random) -> list[str]:
    syllables = SYLLABLES.get(language, LATIN).split()
    made = dict.fromkeys(FREQUENT[language].split())
    while len(made) < VOCABULARY:  # frequent words are short
        made["".join(chance.choices(syllables, k=2 if len(made) < SHORT_WORDS else chance.randint(3, 4)))] = (
            None
        )
    return list(made)


async def _copy(connection: asyncpg.Connection, table: str, records: list[tuple[object, ...]]) -> None:
    numbered = [(number, *record) for number, record in enumerate(records)]
    await connection.copy_records_to_table(f"{table}_given", schema_name="crowd", records=numbered)


async def _rebuild(connection: asyncpg.Connection, tables: tuple[str, ...], *writes: str) -> None:
    """Empty tables, write them without any index, and build all indexes and keys anew.

    In one transaction: a server that keeps no log for others then writes none for itself, either.
    """
    async with connection.transaction():
        names = [f"conversations.{table}" for table in tables]
        await connection.execute(f"truncate {', '.join(names)}")
        definitions = await connection.fetch(_DEFINITIONS, names)
        for definition in definitions:
            await connection.execute(definition["drop"])
        await connection.execute("set local work_mem = '512MB'")
        for write in writes:
            await connection.execute(write)
        await connection.execute(f"set local maintenance_work_mem = '{SORT_MEMORY}'")
        await connection.execute("set local max_parallel_maintenance_workers = 1")
        for definition in reversed(definitions):
            await connection.execute(definition["build"])


# Foreign keys, then plain indexes, then primary keys: the order in which they can be dropped.
_DEFINITIONS = """
  select format('alter table %s drop constraint %I', conrelid::regclass, conname) as drop,
         format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
           as build,
         case contype when 'f' then 1 else 3 end as step
    from pg_constraint where conrelid = any ($1::text[]::regclass[]) and contype in ('f', 'p')
  union all
  select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 2
    from pg_index where indrelid = any ($1::text[]::regclass[]) and not indisprimary
   order by step
"""
