// SPDX-License-Identifier: MIT
//! Links every program as `program.ld` says.
use std::path::Path;

fn main() {
    let script = Path::new(file!()).with_file_name("program.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
}
