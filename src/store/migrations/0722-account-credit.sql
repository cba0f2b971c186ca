-- Money of a payer that no document has taken yet: overpaid, or credited on something that was paid. Written once: the credit of
-- an account is the sum of its entries. A refund is recorded before anybody is asked to send money.

create table account_credit (
  org_id       text not null,
  entry_id     text not null,
  account_id   text not null,
  currency     text not null,
  -- Above zero: it arose. Below zero: it was used.
  amount_minor bigint not null check (amount_minor <> 0),
  cause        text not null check (cause in ('payment', 'document', 'void', 'applied', 'refund', 'refund_failed')),
  -- The payment, document or refund.
  source_id    text not null,
  at           timestamptz not null,
  primary key (org_id, entry_id),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
create index account_credit_of on account_credit (org_id, account_id, at);
create index account_credit_applied on account_credit (org_id, source_id) where cause = 'applied';

create table refund (
  org_id       text not null,
  refund_id    text not null,
  account_id   text not null,
  currency     text not null,
  amount_minor bigint not null check (amount_minor > 0),
  status       text not null check (status in ('pending', 'succeeded', 'declined')),
  -- Where the money goes from: the processor, or 'bank' for a transfer made by hand.
  via          text not null,
  -- What the processor calls it, once it said.
  reference    text,
  reason       text not null,
  -- How whoever asked names it: asked again, it is the same refund.
  request_key  text not null,
  created_at   timestamptz not null,
  created_by   text not null,
  settled_at   timestamptz,
  primary key (org_id, refund_id),
  constraint refund_once unique (org_id, account_id, request_key),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
create index refund_pending on refund (org_id, created_at) where status = 'pending';
