//! The checker that was asked for, as the recorder's code knows it: `cfg(loom)` or `cfg(shuttle)`.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(loom, shuttle)");
    for checker in ["loom", "shuttle"] {
        if std::env::var_os(format!("CARGO_FEATURE_{}", checker.to_uppercase())).is_some() {
            println!("cargo:rustc-cfg={checker}");
        }
    }
}
