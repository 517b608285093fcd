//! Arguments and exit codes of the core agent; everything else is in the library.
fn main() {}
