//! The SQL engine as this module uses it.
pub use crate::sql::{Dialect, Memo, Naming, Statement};
