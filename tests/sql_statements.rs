//! Single statements: more places where literals and secrets hide, and the rules of docs/sql.md one by one.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

use scoutcore::sql::{Dialect, Naming, Scratch, analyse};

/// None of these may show `kanari` or `918273645` under any dialect, right or wrong.
const STATEMENTS: &[&str] = &[
    // Double quotes
    r#"SELECT * FROM t WHERE a = "kanari""#,
    r#"SELECT * FROM t WHERE a = _utf8mb4"kanari" AND b = N"kanari""#,
    r#"SELECT "kanari" FROM t"#,
    r#"SELECT DISTINCT "kanari" FROM t"#,
    r#"SELECT CONCAT("kanari", a) FROM t"#,
    r#"SELECT IF(a = 1, "kanari", "kanari") FROM t"#,
    r#"SELECT CASE WHEN a = "kanari" THEN "kanari" ELSE "kanari" END FROM t"#,
    r#"INSERT INTO t (a, b) VALUES ("kanari", "kanari")"#,
    r#"INSERT INTO t (a, b) VALUE ("kanari", "kanari")"#,
    r#"INSERT INTO t VALUES (1, "kanari"), (2, "kanari")"#,
    r#"INSERT INTO t SET a = "kanari", b = "kanari""#,
    r#"UPDATE t SET a = "kanari", b = "kanari" WHERE c = "kanari""#,
    r#"SELECT * FROM t WHERE a IN ("kanari", "kanari")"#,
    r#"SELECT * FROM t WHERE a BETWEEN "kanari" AND "kanari""#,
    r#"SELECT * FROM t WHERE a LIKE "kanari%" ESCAPE "kanari""#,
    r#"SELECT * FROM t WHERE "kanari" = a"#,
    r#"SELECT * FROM t WHERE a = "it's kanari""#,
    r#"SELECT * FROM t WHERE a = "kanari"#,
    r#"SELECT * FROM t WHERE a = 'kanari" AND b = "kanari'"#,
    r#"SELECT * FROM t ORDER BY "kanari""#,
    r#"SELECT TRIM("x" FROM "kanari") FROM t"#,
    r#"SELECT SUBSTRING("kanari" FROM 2) FROM t"#,
    r#"SELECT GROUP_CONCAT(a SEPARATOR "kanari") FROM t"#,
    r#"SELECT a FROM t HAVING "kanari""#,
    r#"SELECT MATCH(a) AGAINST ("kanari") FROM t"#,
    r#"CALL p("kanari")"#,
    "SELECT * FROM t WHERE price > $1.918273645",
    r#"PREPARE s FROM "SELECT * FROM users WHERE ssn = 'kanari'""#,
    r#"PREPARE s FROM "kanari", "kanari""#,
    r#"EXECUTE IMMEDIATE "SELECT 'kanari'""#,
    r#"SELECT INSERT("kanari", 3, 4, "kanari") FROM t"#,
    r#"SELECT a FROM t WHERE b = INSERT("kanari", 1, 1, "kanari")"#,
    r#"INSERT INTO t (a) VALUES (INSERT("kanari", 1, 1, "kanari"))"#,
    r#"INSERT INTO t (a) SELECT INSERT("kanari", 1, 1, "kanari")"#,
    r#"SELECT a AS kan, "kanari" AS b FROM t"#,
    r#"SELECT * FROM t WHERE json->>'$.kanari' = "kanari""#,
    r#"SELECT JSON_EXTRACT(d, "$.kanari") FROM t"#,
    r#"SELECT a "kanari" FROM t"#,
    r#"CREATE TABLE t (a VARCHAR(10) DEFAULT "kanari" COMMENT "kanari")"#,
    r#"CREATE FUNCTION f() AS "kanari""#,
    r#"EXPLAIN ANALYZE SELECT "kanari""#,
    r#"SELECT * INTO OUTFILE "/tmp/kanari" FROM t"#,
    r#"RAISERROR ("kanari", 16, 1)"#,
    r#"PRINT "kanari""#,
    r#"SELECT U&"kanari" FROM t"#,
    // Backslashes
    r"SELECT * FROM t WHERE a = 'it\'s kanari",
    r"SELECT * FROM t WHERE a = 'it\'s kanari' AND b = 'kanari'",
    r"SELECT * FROM t WHERE path = 'C:\' AND b = 'kanari'",
    r"SELECT * FROM t WHERE path = 'C:\' AND b = ' kanari '",
    r"SELECT E'\' kanari', e'kanari\\'",
    // Bind values, arrays, collections
    r#"SELECT "u".* FROM "u" WHERE "u"."name" = $1  [["name", "kanari"]]"#,
    r#"SELECT u.* FROM u WHERE name = ? [["name","kanari"],["id", 918273645]]"#,
    "SELECT * FROM t WHERE a = ARRAY['kanari', 'x'] AND b[1] = 'kanari'",
    "SELECT a['kanari'], a[918273645] FROM t",
    "SELECT a = [ 'kanari' ] FROM t",
    "UPDATE t SET m = {'kanari': 'kanari'}, l = ['kanari', 918273645] WHERE id = 123e4567-e89b-12d3-a456-426614174000",
    "INSERT INTO t JSON '{\"kanari\": 1}'",
    // Numbers
    "SELECT 0b1010, 1_000, £918273645, 1.5f, 918273645d, 0x918273645, 918273645L",
    "SELECT -918273645, - 918273645, +.918273645, 918273645.e5",
    "SELECT 918273645kanari, 918273645_kanari FROM t",
    "SELECT 9e918273645FROM t",
    "SELECT TOP (918273645) * FROM t FETCH NEXT 918273645 ROWS ONLY",
    "SELECT x'kanari' FROM t LIMIT 918273645 OFFSET 918273645",
    "SELECT INTERVAL '918273645' DAY, DATE'kanari', TIMESTAMP \"kanari\"",
    "SELECT * FROM t WHERE uuid = 01234567-89ab-cdef-0123-kanari918273",
    "UPDATE t SET l = [a1234567-89ab-cdef-0123-918273645000, b1234567-89ab-cdef-0123-918273645abc] WHERE k = 1",
    // Accounts and keys
    "SET PASSWORD FOR 'bob'@'localhost' = 'kanari'",
    "SET PASSWORD = kanari",
    "ALTER USER bob IDENTIFIED BY kanari REPLACE kanari2",
    "ALTER USER bob IDENTIFIED BY \"kanari\"",
    "CREATE ROLE bob LOGIN PASSWORD kanari",
    "CREATE LOGIN bob WITH PASSWORD = 'kanari', CHECK_POLICY = OFF",
    "CREATE LOGIN bob WITH PASSWORD = kanari",
    "CREATE USER bob IDENTIFIED WITH mysql_native_password AS 'kanari'",
    "CREATE USER bob IDENTIFIED BY VALUES 'kanari'",
    "GRANT ALL ON *.* TO bob@localhost IDENTIFIED BY PASSWORD 'kanari'",
    "CHANGE MASTER TO MASTER_PASSWORD='kanari'",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (password 'kanari')",
    "CREATE DATABASE LINK l CONNECT TO bob IDENTIFIED BY kanari USING 'tns'",
    "EXEC sp_addlogin 'bob', 'kanari'",
    "EXEC sp_addlogin @l = bob, @p = kanari",
    "EXEC p kanari, 918273645",
    "EXEC p @a = \"kanari\"",
    "SET my.var = kanari",
    "SET my.var TO kanari, kanari",
    "SET my.var = a, kanari",
    "PRAGMA key(kanari)",
    "PRAGMA key = kanari",
    "PRAGMA rekey = \"kanari\"",
    "PRAGMA hexkey='kanari'",
    "ATTACH DATABASE 'x.db' AS y KEY 'kanari'",
    "ATTACH DATABASE 'x.db' AS y KEY kanari",
    "CONNECT scott/kanari@db",
    "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'kanari'",
    "BACKUP DATABASE d TO DISK = 'x' WITH PASSWORD = 'kanari'",
    "CREATE SECRET s (TYPE S3, KEY_ID kanari, SECRET 'kanari')",
    "COPY t FROM 's3://x' CREDENTIALS 'kanari'",
    "COPY t FROM 's3://x' ACCESS_KEY_ID kanari SECRET_ACCESS_KEY kanari",
    "SELECT * FROM OPENROWSET('SQLNCLI', 'Server=x;Pwd=kanari', 'SELECT 1')",
    // Statements in statements
    "DO 'BEGIN x := ''kanari''; END'",
    "EXECUTE IMMEDIATE 'SELECT ''kanari'''",
    "EXEC sp_executesql N'SELECT * FROM t WHERE a = ''kanari''', N'@p int', @p = 918273645",
    "EXEC sp_executesql @stmt = N'SELECT ''it''''s kanari'''",
    "CREATE FUNCTION f() RETURNS int AS 'kanari' LANGUAGE sql",
    "BEGIN; SELECT 'kanari'; COMMIT",
    "SELECT 1; kanari",
    "kanari SELECT 1",
    // Quotes of other kinds
    "SELECT q'(it's kanari)' FROM dual",
    "SELECT q'{it's kanari}', nQ'<kanari>' FROM dual",
    "SELECT q'[ it's kanari ]' FROM dual",
    "SELECT Nq'[ kanari ]' FROM dual",
    "SELECT $$it's kanari$$ || $a$ $$ kanari $$ $a$",
    "SELECT $a$ kanari",
    "SELECT d->>$kanari$x$kanari$",
    "SELECT B'kanari', X'kanari', b'01', U&'kanari' UESCAPE '!'",
    "SELECT '\u{ff07}kanari\u{ff07}', \u{2018}kanari\u{2019}, \u{201c}kanari\u{201d} FROM t",
    "SELECT ´kanari´ FROM t",
    "SELECT «kanari» FROM t",
    "SELECT * FROM t WHERE a = 'x' 'kanari'",
    "SELECT 'a'\n'kanari'",
    // Comments
    "SELECT 1 # kanari",
    "SELECT 1 #kanari",
    "SELECT 1 -- kanari",
    "SELECT 1 --kanari",
    "SELECT 1 /* kanari */",
    "SELECT /*+ INDEX(kanari) */ 1 FROM t",
    "SELECT 1 /* /* kanari */ kanari */ FROM t",
    "/* kanari */ /* 'kanari */ SELECT 1",
    "SELECT 1 # it's kanari\nFROM t",
    "SELECT 1 -- it's kanari\nFROM t WHERE a = 'kanari'",
    "SELECT 1;-- kanari",
    "SELECT 1 /* kanari",
    "SELECT 1 -- kanari\r FROM t",
    // Strings where names stand
    "SELECT * FROM 'kanari'",
    "UPDATE 'kanari' SET a = 1",
    "SELECT * FROM t AS 'kanari'",
    "DELETE FROM 'kanari'",
    "INSERT INTO 'kanari' VALUES (1)",
    "SELECT a 'kanari' FROM t",
    "MERGE INTO t USING (SELECT 'kanari' AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES ('kanari')",
    "LOAD DATA INFILE 'kanari' INTO TABLE t FIELDS TERMINATED BY 'kanari'",
    "SELECT {ts '2020 kanari'}, {d 'kanari'}",
];

#[test]
fn no_literal_is_shown_under_any_dialect() {
    let mut scratch = Scratch::default();
    let mut found = Vec::new();
    for sql in STATEMENTS {
        for dialect in Dialect::ALL {
            for truncated in [false, true] {
                let statement =
                    analyse(&mut scratch, sql.as_bytes(), dialect, truncated, Naming::Table);
                let shown = format!("{statement:?}").to_lowercase();
                if shown.contains("kanari") || shown.contains("918273645") {
                    found.push(format!("{}: {sql}\n    {shown}", dialect.name()));
                }
            }
        }
    }
    println!("{} statements, {} leaks", STATEMENTS.len(), found.len());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn texts_are_as_documented() {
    use Dialect::{Cassandra, Generic, MsSql, MySql, Oracle, Postgres, Sqlite};
    let mut scratch = Scratch::default();
    for (dialect, sql, text) in [
        (
            Postgres,
            "SELECT  *\tFROM users\n WHERE id = -5 AND a IS NOT TRUE",
            "SELECT * FROM users WHERE id = ? AND a IS NOT TRUE",
        ),
        (Postgres, "SELECT a - 5, a-5, (-5) FROM t", "SELECT a - ?, a-?, (?) FROM t"),
        (
            Postgres,
            "SELECT 1 FROM t WHERE a IN ($1, $2, NULL, 'x')",
            "SELECT ? FROM t WHERE a IN (?)",
        ),
        (Postgres, "SELECT 1 FROM t WHERE a IN (b, 1)", "SELECT ? FROM t WHERE a IN (b, ?)"),
        (
            Postgres,
            "INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', NULL) RETURNING id",
            "INSERT INTO t VALUES (?, ?, ?) RETURNING id",
        ),
        (
            Postgres,
            "INSERT INTO t (a) VALUES ($1), (now()), (3)",
            "INSERT INTO t (a) VALUES ($1), (now()), (?)",
        ),
        (
            Postgres,
            r#"select * from "users" where "id" = $1 and "a" in (1)"#,
            r#"select * from "users" where "id" = $1 and "a" in (?)"#,
        ),
        (Postgres, r#"SELECT "id" FROM users"#, "SELECT ? FROM users"),
        (
            Postgres,
            r#"SELECT count(*) AS "n" FROM "t" GROUP BY "a", "b""#,
            r#"SELECT count(*) AS "n" FROM "t" GROUP BY "a", "b""#,
        ),
        (Sqlite, r#"SELECT * FROM "t" WHERE "a" = "b""#, r#"SELECT * FROM "t" WHERE ? = ?"#),
        (MySql, "SELECT `a` FROM t WHERE b = \"x\" # note", "SELECT `a` FROM t WHERE b = ?"),
        (MySql, "SELECT /*!50110 SQL_NO_CACHE */ a FROM t", "SELECT SQL_NO_CACHE a FROM t"),
        (MySql, r"SELECT 'it\'s', b FROM t", "SELECT ?, b FROM t"),
        (
            MySql,
            r#"SELECT * FROM posts WHERE title = 'O\'Reilly \"x\"' AND body LIKE "%foo%""#,
            "SELECT * FROM posts WHERE title = ? AND body LIKE ?",
        ),
        (Generic, r"SELECT 'it\'s', b FROM t", "SELECT ?"),
        (
            MsSql,
            "SELECT [a], N'x' FROM [Order Details] JOIN #tmp ON 1 = 1",
            "SELECT [a], ? FROM [Order Details] JOIN #tmp ON ? = ?",
        ),
        (
            MsSql,
            "EXEC sp_executesql N'SELECT * FROM t WHERE a = @p AND b = ''x''', N'@p int', @p = 5",
            "SELECT * FROM t WHERE a = @p AND b = ?",
        ),
        (
            MsSql,
            "EXEC dbo.add_login bob, @p = secret, @q = NULL",
            "EXEC dbo.add_login ?, @p = ?, @q = NULL",
        ),
        (
            Oracle,
            "SELECT q'[it's]' FROM v$session WHERE sid = :1",
            "SELECT ? FROM v$session WHERE sid = :1",
        ),
        (
            Cassandra,
            "UPDATE t SET a = {'k': 'v'} WHERE id = 123e4567-e89b-12d3-a456-426614174000",
            "UPDATE t SET a = {?: ?} WHERE id = ?",
        ),
        (Generic, "", ""),
        (Generic, " ; ", ";"),
        (Generic, "not sql at all", "?"),
        (Generic, "SELECT a/* c */b FROM t", "SELECT a b FROM t"),
        (Postgres, "SELECT * FROM t WHERE a = 'open", "SELECT * FROM t WHERE a = ?"),
        (
            Postgres,
            "ALTER ROLE bob PASSWORD secret VALID UNTIL 'infinity'",
            "ALTER ROLE bob PASSWORD ?",
        ),
        (Postgres, "SET app.user = secret", "SET app.user = ?"),
    ] {
        let statement = analyse(&mut scratch, sql.as_bytes(), dialect, false, Naming::Model);
        assert_eq!(&*statement.text, text, "{}: {sql}", dialect.name());
    }
}

#[test]
fn names_are_as_documented() {
    let mut scratch = Scratch::default();
    for (sql, summary, model, table) in [
        (
            "SELECT * FROM public.users u, orders",
            "SELECT public.users orders",
            "SQL/User/select",
            "SQL/users/select",
        ),
        (
            "select count(*) from (select 1 as one from \"users\" limit 5) x",
            "select select \"users\"",
            "SQL/User/select",
            "SQL/users/select",
        ),
        (
            "EXPLAIN SELECT * FROM people",
            "EXPLAIN SELECT people",
            "SQL/Person/select",
            "SQL/people/select",
        ),
        (
            "WITH r AS (SELECT 1 FROM a) UPDATE order_statuses SET x = 1",
            "SELECT a UPDATE order_statuses",
            "SQL/OrderStatus/update",
            "SQL/order_statuses/update",
        ),
        (
            "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone",
            "DELETE users SELECT",
            "SQL/User/select",
            "SQL/users/select",
        ),
        (
            "INSERT INTO events_2024_01 SELECT * FROM queue",
            "INSERT events_2024_01 SELECT queue",
            "SQL/EventsNN/insert",
            "SQL/events_N_N/insert",
        ),
        ("BEGIN", "BEGIN", "SQL/begin", "SQL/begin"),
        ("COMMIT;", "COMMIT", "SQL/commit", "SQL/commit"),
        ("SAVEPOINT active_record_1", "SAVEPOINT", "SQL/savepoint", "SQL/savepoint"),
        ("DROP TABLE users", "DROP TABLE users", "SQL/User/drop", "SQL/users/drop"),
        ("what is this", "", "SQL/other", "SQL/other"),
        ("", "", "SQL/other", "SQL/other"),
    ] {
        let mut by =
            |naming| analyse(&mut scratch, sql.as_bytes(), Dialect::Postgres, false, naming);
        let statement = by(Naming::Model);
        assert_eq!((&*statement.summary, &*statement.operation), (summary, model), "{sql}");
        assert_eq!(&*by(Naming::Table).operation, table, "{sql}");
    }
}
