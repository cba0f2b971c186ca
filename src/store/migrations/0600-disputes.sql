-- Disputes: a case on one line of a document, what both sides wrote and sent, and how it was decided. Messages and files are
-- written once. An undecided dispute keeps its amount from being asked for, hence the partial index.

create table dispute (
  org_id          text not null,
  dispute_id      text not null,
  invoice_id      text not null,
  account_id      text not null,
  line_no         integer not null,
  status          text not null
    check (status in ('open', 'under_review', 'accepted', 'partially_accepted', 'rejected', 'closed')),
  currency        text not null,
  -- Before tax, as on the line; and with the tax that comes on top.
  amount_minor    bigint not null check (amount_minor > 0),
  withheld_minor  bigint not null check (withheld_minor >= amount_minor),
  accepted_minor  bigint check (accepted_minor >= 0),
  -- How many events the line was measured from: the evidence, by reference.
  event_count     bigint not null,
  credit_note_id  text,
  opened_at       timestamptz not null,
  opened_by       text not null,
  review_by       timestamptz not null,
  decide_by       timestamptz not null,
  decided_at      timestamptz,
  decided_by      text,
  primary key (org_id, dispute_id),
  foreign key (org_id, invoice_id, line_no) references invoice_line (org_id, invoice_id, line_no)
);
create unique index dispute_once_per_line on dispute (org_id, invoice_id, line_no)
  where status in ('open', 'under_review');
create index dispute_by_invoice on dispute (org_id, invoice_id);

create table dispute_message (
  org_id     text not null,
  dispute_id text not null,
  message_id text not null,
  side       text not null check (side in ('customer', 'provider')),
  text       text not null,
  file_name  text,
  file       bytea check (octet_length(file) <= 262144),
  written_at timestamptz not null,
  written_by text not null,
  primary key (org_id, dispute_id, message_id),
  foreign key (org_id, dispute_id) references dispute (org_id, dispute_id),
  check ((file is null) = (file_name is null))
);
