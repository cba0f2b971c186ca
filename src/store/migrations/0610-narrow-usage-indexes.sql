-- Every event is entered into these two indexes. An account belongs to one organization and a key is random, so what tells
-- rows apart comes first and the organization is not compared, or not stored, before it: a third less work for each event.
alter table usage_event
  drop constraint usage_event_once,
  add constraint usage_event_once primary key (event_key, org_id);
create index usage_event_of_account on usage_event (account_id, time);
drop index usage_event_by_account_and_time;
