-- Mails that must be sent, written in the transaction of what they tell about. cause says what that is ("invoice inv_…"), and is
-- unique, so that nothing is told twice however often a flow is run again. Like the jobs, this table stays local.

create table mail_outbox (
  org_id          text not null,
  message_id      text not null,
  cause           text not null,
  kind            text not null,
  subject_id      text not null,
  recipients      text[] not null check (cardinality(recipients) between 1 and 10),
  status          text not null default 'queued' check (status in ('queued', 'sending', 'sent', 'dead')),
  attempts        integer not null default 0,
  next_attempt_at timestamptz not null,
  last_error      text,
  created_at      timestamptz not null,
  sent_at         timestamptz,
  primary key (org_id, message_id),
  constraint mail_once_per_cause unique (org_id, cause)
);
create index mail_outbox_waiting on mail_outbox (next_attempt_at) where status in ('queued', 'sending');
