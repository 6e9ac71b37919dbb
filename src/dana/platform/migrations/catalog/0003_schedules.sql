-- When each recurring job runs next, and who is at it. An occurrence is taken by moving `due_at` on, from the
-- value one has read: of all who try, one succeeds, on whichever server the catalog is by then.
create table platform.schedules (
  name text primary key,            -- service.job
  rhythm text not null,             -- as the job states it; another one than before begins anew
  due_at timestamptz not null,
  running_until timestamptz,        -- renewed while it runs; when that has passed, its process is gone
  token uuid,
  ran_at timestamptz                -- when a run ended well, last
);
grant select, insert, update on platform.schedules to dana_service;
