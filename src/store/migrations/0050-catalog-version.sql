-- One row that every change of the catalog counts up, so that a process may keep the whole catalog in memory and ask in
-- one cheap query whether it is still the one.

create table catalog_version (
  only_one boolean primary key default true check (only_one),
  version  bigint not null
);
insert into catalog_version (version) values (1);
