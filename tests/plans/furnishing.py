"""What stands beside the crowd: people on the catalog, events, deliveries and knowledge, as after years."""

import asyncpg

from dana.contracts.ids import OrgId

MEMBERS = 5_000  # of the big organization; others have some thirty

CATALOG = """
insert into platform.organizations (id, shard)
  select ('0190aaaa-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'shard1'
    from generate_series(1, 3000) n on conflict do nothing;
insert into auth.organizations (id, name, announced_at)
  select id, 'Organization', now() from platform.organizations on conflict do nothing;
insert into auth.users (id, email, password_hash)
  select ('0190bbbb-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'user' || n || '@example.org', 'hash'
    from generate_series(1, 100000) n;
insert into auth.memberships (org_id, user_id, name, role, announced_version)
  select case when n <= {members} then '{big}'::uuid when n > 99950 then '{small}'
              else ('0190aaaa-0000-7000-8000-' || lpad(to_hex(n % 3000 + 1), 12, '0'))::uuid end,
         ('0190bbbb-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Member ' || n,
         case when n in (1, 99951) then 'owner' else 'agent' end, 1
    from generate_series(1, 100000) n;
insert into auth.sessions (id, org_id, user_id, seed, expires_at, ends_at)
  select gen_random_uuid(), org_id, user_id, '\\x00', now() + interval '9 days', now() + interval '9 days'
    from auth.memberships;
insert into auth.sessions (id, org_id, user_id, seed, expires_at, ends_at)
  select gen_random_uuid(), org_id, user_id, '\\x00', now() - interval '99 days', now() - interval '99 days'
    from auth.memberships limit 50;
insert into auth.invitations (id, org_id, email, role, seed, invited_by, expires_at, accepted_at)
  select ('0190cccc-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
         case when n <= 3000 then '{big}'::uuid
              else ('0190aaaa-0000-7000-8000-' || lpad(to_hex(n % 3000 + 1), 12, '0'))::uuid end,
         'guest' || n || '@example.org', 'agent', '\\x00', gen_random_uuid(), now() + interval '7 days',
         case when n % 4 = 0 then now() end
    from generate_series(1, 30000) n;
insert into auth.attempts (key, attempts, window_ends_at)
  select sha256(n::text::bytea), 1, now() + interval '1 hour' from generate_series(1, 50000) n;
insert into platform.channel_routes (public_key, org_id, inbox_id)
  select 'inbox_' || id, id, id from platform.organizations;
update auth.memberships set version = 2 where org_id = '{big}' and user_id::text like '%7';
update auth.users set platform_role = 'admin' where email = 'user9@example.org';
"""

SHARD = """
insert into platform.subscriptions
  select type, lane || '-group', lane from unnest(array['message_appended', 'answer_requested']) type,
         unnest(array['live', 'ai']) lane on conflict do nothing;
insert into platform.event_log
  (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload, actor, created_at)
  select org_id, cursor, gen_random_uuid(), 'message_appended', 1, 'message', conversation_id, '{{}}', '{{}}',
         now()
    from conversations.messages where org_id = '{big}' and cursor > 6900000;
insert into platform.event_log
  (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload, actor, created_at)
  select org_id, cursor, gen_random_uuid(), 'message_appended', 1, 'message', conversation_id, '{{}}', '{{}}',
         now()
    from conversations.messages where org_id <> '{big}' and seq = 1 and cursor % 70 = 1;
insert into platform.deliveries
  (org_id, cursor, consumer_group, lane, key, event_created_at, state, available_at, is_waiting)
  select org_id, cursor, 'ai-group', 'ai', aggregate_id, created_at,
         case when cursor % 100 = 0 then 'dead' else 'ready' end, now() + interval '1 hour', cursor % 100 <> 0
    from platform.event_log where cursor % 2 = 1;
insert into platform.deliveries (org_id, cursor, consumer_group, lane, key, event_created_at)
  select org_id, cursor, 'flooded-group', 'ai', aggregate_id, created_at from platform.event_log;
insert into platform.deliveries (org_id, cursor, consumer_group, lane, key, event_created_at, leased_until)
  select org_id, cursor, 'stuck-group', 'ai', '{big}', created_at,
         case when n = 1 then now() + interval '1 hour' end
    from (select *, row_number() over (order by cursor) as n
            from platform.event_log where org_id = '{big}' order by cursor limit 20000) numbered;
insert into platform.deliveries
  (org_id, cursor, consumer_group, lane, key, event_created_at, available_at, is_waiting)
  select org_id, cursor, 'ripe-group', 'ai', aggregate_id, created_at, now() - interval '1 hour', true
    from platform.event_log limit 20000;
insert into platform.shares
  select s.consumer_group, s.lane, p.org_id, 1, 1, now()
    from platform.org_placement p, (select distinct consumer_group, lane from platform.deliveries) s;
insert into platform.long_jobs
  (org_id, id, event_type, kind, about, arguments, state, requested_by_name, created_at, updated_at,
   finished_at, tidy_at)
  select org_id, ('0190dddd-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'conversations_job_advanced',
         'export_conversations', 'All', '{{}}', 'done', 'Ana', now(), now(), now(), now() + interval '90 days'
    from platform.org_placement, generate_series(1, case org_id when '{big}' then 20000 else 10 end) n;
insert into platform.long_job_problems (org_id, job_id, number, subject, reason)
  select org_id, id, n, '', 'x' from platform.long_jobs, generate_series(1, 5) n;
insert into ai.turns (org_id, id, fence_cursor)
  select org_id, id, 1 from conversations.conversations limit 300000;
insert into knowledge.documents
  (org_id, id, title, filename, kind, size_bytes, status, created_at, updated_at)
  select org_id, gen_random_uuid(), 'Title', 'file' || n || '.md', 'markdown', 1, 'searchable', now(), now()
    from platform.org_placement, generate_series(1, case org_id when '{big}' then 3000 else 3 end) n;
insert into knowledge.files (org_id, id, content) select org_id, id, '\\x00' from knowledge.documents;
insert into knowledge.passages (org_id, document_id, ordinal, heading, text, spans, vectors)
  select org_id, id, n, '', 'A passage.', '{{0,10}}', '\\x0000'
    from knowledge.documents, generate_series(0, 4) n;
insert into knowledge.postings (org_id, gram, document_id, part, found, places)
  select org_id, gram, id, 0, 1, array[300] from knowledge.documents, generate_series(1, 5) gram
   where filename like 'file1%';
insert into knowledge.corpora (org_id, version, documents, passages)
  select org_id, 1, count(*), count(*) * 5 from knowledge.documents group by 1;
insert into ai.assistants (org_id, id, name, hand_over_text, provider_kind, base_url, model)
  select org_id, gen_random_uuid(), 'Assistant', '', 'extractive', '', '' from platform.org_placement;
insert into auth.announcements (org_id, id, version)
  select org_id, id, 1 from conversations.agents;
analyze;
"""


async def furnish(shard: str, catalog: str, big: OrgId, small: OrgId) -> None:
    """Fill everything but conversations."""
    for dsn, sql in ((catalog, CATALOG + "analyze;"), (shard, SHARD)):
        connection = await asyncpg.connect(dsn)
        await connection.execute(sql.format(big=big, small=small, members=MEMBERS))
        await connection.close()
