# SPDX-License-Identifier: MIT OR Apache-2.0
# A database on disk: transactions, write-ahead log, two writers, recovery.
cd /tmp || exit 1
sqlite3 db <<X
create table t(id integer primary key, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
insert into t select i, 'row ' || i from n;
create index names on t(name);
select count(*), max(name) from t;
begin; delete from t; rollback;
select count(*) from t;
explain query plan select * from t where name = 'row 7';
X
sqlite3 db 'pragma journal_mode=wal; insert into t(name) values (hex(7)); select changes();'
ls db*
sqlite3 db <<X &
begin immediate;
.shell touch held; until [ -e tried ]; do sleep 0.1; done
insert into t(name) values ('slow'); commit;
X
until [ -e held ]; do sleep 0.1; done
sqlite3 -cmd '.timeout 20' db "insert into t(name) values ('refused')" 2>&1
touch tried; wait; sqlite3 db 'select name from t where id > 200 order by id'
sqlite3 db .dump | sqlite3 copy && sqlite3 copy 'select count(*) from t'
sqlite3 db 'vacuum; pragma integrity_check'
for n in 1 2 3 4 5; do
	(for i in 1 2 3 4 5; do
		sqlite3 -cmd '.timeout 20000' many 'create table if not exists c(v); begin immediate; insert into c select value from generate_series(1 + (select count(*) from c), 20 + (select count(*) from c)); commit'
	done) &
done
wait; sqlite3 many 'select count(*), sum(v) from c'
