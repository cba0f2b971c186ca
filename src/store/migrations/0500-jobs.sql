-- What keeps time. The queue itself belongs to graphile-worker and lives in a schema of its own; here is what is due when,
-- how it went, and which processes are alive. Small, local, never distributed.
create table job_schedule (
  name            text primary key,
  -- Null for work that has no time of its own and is only asked for.
  every_seconds   integer check (every_seconds > 0),
  -- The last moment at which it was due and was handed to the workers. Only ever moves forward.
  slot_at         timestamptz,
  next_at         timestamptz,
  started_at      timestamptz,
  succeeded_at    timestamptz,
  took_ms         integer,
  failed_at       timestamptz,
  failure         text,
  failures_in_row integer not null default 0
);

-- A process that works on jobs says every few seconds that it is there, by the clock of the database.
create table job_worker (
  worker_id  text primary key,
  host       text not null,
  pid        integer not null,
  started_at timestamptz not null,
  beat_at    timestamptz not null
);
