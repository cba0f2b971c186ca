-- A document that nobody could be written to, and one of a sandbox, have a row too: what was not sent, and why, is looked up
-- and not guessed. The checks are replaced on a table that is small while it is new.

alter table mail_outbox
  drop constraint mail_outbox_status_check,
  drop constraint mail_outbox_recipients_check,
  add constraint mail_outbox_status_check
    check (status in ('queued', 'sending', 'sent', 'dead', 'unaddressed', 'sandbox')),
  add constraint mail_outbox_recipients_check
    check (cardinality(recipients) <= 10 and (status = 'unaddressed' or cardinality(recipients) > 0 or status = 'sandbox'));

create index mail_outbox_newest on mail_outbox (org_id, created_at, message_id);
