//! Which database's rules a statement is read with.

use serde::{Deserialize, Serialize};

/// The database's way of quoting, escaping and commenting. Unknown means [`Dialect::Generic`], the strictest reading:
/// where two databases would read the bytes differently, both readings' literals are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Dialect {
    /// Unknown or mixed: masks more than any of the others.
    #[default]
    Generic = 0,
    /// PostgreSQL and what speaks its dialect (CockroachDB, Redshift, YugabyteDB, TimescaleDB).
    Postgres = 1,
    /// MySQL, MariaDB, TiDB.
    MySql = 2,
    /// SQLite.
    Sqlite = 3,
    /// Microsoft SQL Server.
    MsSql = 4,
    /// Oracle.
    Oracle = 5,
    /// Cassandra's CQL.
    Cassandra = 6,
}

impl Dialect {
    /// Every dialect, for tests and for tables of options.
    pub const ALL: [Dialect; 7] = [
        Dialect::Generic,
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::Sqlite,
        Dialect::MsSql,
        Dialect::Oracle,
        Dialect::Cassandra,
    ];

    /// The dialect behind the name an application's database adapter goes by, in any case; an unknown name is [`Dialect::Generic`].
    #[must_use]
    pub fn from_name(name: &str) -> Dialect {
        let name = name.trim();
        ADAPTERS
            .iter()
            .find(|(adapter, _)| adapter.eq_ignore_ascii_case(name))
            .map_or(Dialect::Generic, |&(_, dialect)| dialect)
    }

    /// The dialect's own name, which [`Dialect::from_name`] reads back.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Generic => "generic",
            Dialect::Postgres => "postgres",
            Dialect::MySql => "mysql",
            Dialect::Sqlite => "sqlite",
            Dialect::MsSql => "mssql",
            Dialect::Oracle => "oracle",
            Dialect::Cassandra => "cassandra",
        }
    }

    /// The dialect with this number (its discriminant), for callers that pass ids.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| *dialect as u32 == id)
    }
}

/// Adapter, driver and `db.system` names seen in the wild.
/// A database that reads quotes or backslashes differently from all of ours (ClickHouse, BigQuery, Snowflake, DB2, Teradata)
/// is absent on purpose: guessing wrong leaks, the generic reading does not.
const ADAPTERS: &[(&str, Dialect)] = &[
    ("generic", Dialect::Generic),
    ("postgres", Dialect::Postgres),
    ("postgresql", Dialect::Postgres),
    ("postgis", Dialect::Postgres),
    ("pg", Dialect::Postgres),
    ("psycopg2", Dialect::Postgres),
    ("psycopg", Dialect::Postgres),
    ("asyncpg", Dialect::Postgres),
    ("pgsql", Dialect::Postgres),
    ("pdo_pgsql", Dialect::Postgres),
    ("postgrex", Dialect::Postgres),
    ("cockroach", Dialect::Postgres),
    ("cockroachdb", Dialect::Postgres),
    ("redshift", Dialect::Postgres),
    ("aws.redshift", Dialect::Postgres),
    ("yugabyte", Dialect::Postgres),
    ("yugabytedb", Dialect::Postgres),
    ("timescaledb", Dialect::Postgres),
    ("mysql", Dialect::MySql),
    ("mysql2", Dialect::MySql),
    ("mysqlclient", Dialect::MySql),
    ("mysqldb", Dialect::MySql),
    ("pymysql", Dialect::MySql),
    ("mysqli", Dialect::MySql),
    ("pdo_mysql", Dialect::MySql),
    ("myxql", Dialect::MySql),
    ("mariadb", Dialect::MySql),
    ("trilogy", Dialect::MySql),
    ("tidb", Dialect::MySql),
    ("sqlite", Dialect::Sqlite),
    ("sqlite3", Dialect::Sqlite),
    ("pdo_sqlite", Dialect::Sqlite),
    ("better-sqlite3", Dialect::Sqlite),
    ("exqlite", Dialect::Sqlite),
    ("mssql", Dialect::MsSql),
    ("sqlserver", Dialect::MsSql),
    ("microsoft.sql_server", Dialect::MsSql),
    ("tinytds", Dialect::MsSql),
    ("tds", Dialect::MsSql),
    ("sqlsrv", Dialect::MsSql),
    ("pdo_sqlsrv", Dialect::MsSql),
    ("oracle", Dialect::Oracle),
    ("oracle.db", Dialect::Oracle),
    ("oracle_enhanced", Dialect::Oracle),
    ("oci8", Dialect::Oracle),
    ("oracledb", Dialect::Oracle),
    ("cx_oracle", Dialect::Oracle),
    ("cassandra", Dialect::Cassandra),
    ("scylla", Dialect::Cassandra),
    ("scylladb", Dialect::Cassandra),
    ("cql", Dialect::Cassandra),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_round_trip() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.name()), dialect);
            assert_eq!(Dialect::from_id(dialect as u32), Some(dialect));
        }
        assert_eq!(Dialect::from_id(7), None);
    }

    #[test]
    fn adapters_map_in_any_case_and_the_unknown_is_generic() {
        assert_eq!(Dialect::from_name("PostGIS"), Dialect::Postgres);
        assert_eq!(Dialect::from_name("Trilogy"), Dialect::MySql);
        assert_eq!(Dialect::from_name("snowflake"), Dialect::Generic);
        assert_eq!(Dialect::from_name(""), Dialect::Generic);
    }
}
