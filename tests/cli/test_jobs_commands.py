"""`dana jobs`, as a script uses it."""

from collections.abc import Callable

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.identity import SYSTEM
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.cli.test_commands import dana, lines


async def test_jobs_are_listed_shown_redriven_and_replayed(
    settings: Settings, shards_of: Callable[[str], Shards], org: OrgId
) -> None:
    group, shards = f"slow-{new_id()}", shards_of("conversations")
    pool = await shards.pool((await shards.route(org)).shard)
    await pool.execute("select platform.subscribe($1, '{organization_created}', '{live}')", group)
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="Acme"))
    [due] = lines(dana(settings, "jobs", "list", "--group", group))
    assert (due["org_id"], due["type"], due["attempts"]) == (str(org), "organization_created", 0)
    assert lines(dana(settings, "jobs", "dead", "--organization", str(org))) == []
    shown = lines(dana(settings, "jobs", "show", str(org), str(due["cursor"])))
    assert [letter["payload"] for letter in shown if letter["group"] == group] == ['{"name":"Acme"}']
    assert lines(dana(settings, "jobs", "redrive", str(org))) == [{"redriven": 0}]
    async with shards.tx(org, SYSTEM) as tx:
        await tx.fetch(
            "select platform.finish(org_id, cursor, $1, 'live', $2)"
            " from platform.claim($1, 'live', 9, interval '1 minute', $2)",
            group,
            new_id(),
        )
    assert lines(dana(settings, "jobs", "list", "--group", group)) == []
    assert lines(dana(settings, "jobs", "replay", group, str(org))) == [{"replayed": 1}]
    assert len(lines(dana(settings, "jobs", "list", "--group", group))) == 1
    await pool.execute("select platform.subscribe($1, '{}', '{}')", group)


def test_a_replay_that_makes_no_sense_is_refused_with_one_sentence(settings: Settings, org: OrgId) -> None:
    backwards = ("--from", "2026-03-02", "--until", "2026-03-01")
    run = dana(settings, "jobs", "replay", "ai", str(org), *backwards)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.strip() == "The time ends before it begins; exchange the two."
