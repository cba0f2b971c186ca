-- Wrong prices of the past, put right by a second person (R-142). A published price never changes: what corrects it stands
-- beside it, for a span of time that is over, and holds from its approval on.

create table price_correction (
  correction_id text primary key,
  status        text not null check (status in ('open', 'approved', 'rejected')),
  book          text not null references price_book (code),
  sku_code      text not null,
  starts_at     timestamptz not null,
  ends_at       timestamptz not null,
  definition    jsonb not null,
  reason        text not null,
  author        text not null,
  created_at    timestamptz not null,
  decided_by    text,
  decided_at    timestamptz,
  constraint price_correction_is_a_span check (starts_at < ends_at),
  constraint price_correction_author_is_not_approver check (status <> 'approved' or decided_by <> author)
);
create index price_correction_approved on price_correction (decided_at) where status = 'approved';

-- What was shown to whoever decided: one invoice whose account would get or owe something. note_id is the document that
-- came of it, written in the transaction of the approval.
create table price_correction_effect (
  org_id        text not null,
  correction_id text not null references price_correction (correction_id),
  invoice_id    text not null,
  account_id    text not null,
  currency      text not null,
  subtotal      bigint not null,
  tax           bigint not null,
  total         bigint not null,
  note_id       text,
  primary key (org_id, correction_id, invoice_id),
  foreign key (org_id, invoice_id) references invoice (org_id, invoice_id)
);
