//! How the shared object is linked, on the systems where that needs saying.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let abi_major = 1;
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => {
            // The file is found by this name, not by its path; and dlclose leaves it mapped:
            // threads of ours, and destructors that std registers with the host's threads, may
            // still want its code.
            link_arg(&format!("-Wl,-soname,libscoutcore.so.{abi_major}"));
            link_arg("-Wl,-z,nodelete");
            link_arg("-Wl,-z,relro,-z,now");
        }
        Ok("macos") => {
            link_arg(&format!("-Wl,-install_name,@rpath/libscoutcore.{abi_major}.dylib"));
        }
        _ => {}
    }
}

fn link_arg(arg: &str) {
    println!("cargo::rustc-cdylib-link-arg={arg}");
}
