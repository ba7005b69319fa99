// SPDX-License-Identifier: MIT
//! Runs the Microkit tool on a plan, with programs that do nothing.
use crate::{Case, elf};
use orion_system::emit;
use roxmltree::Document;
use serde_json::Value;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The SDK. Says so where there is none.
pub fn sdk() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join("microkit-sdk"));
    let sdk = env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty()).map(PathBuf::from).or(home);
    let found = sdk.filter(|sdk| sdk.join("board").is_dir());
    if found.is_none() {
        // Not by the macro: what it prints is shown only where a test fails.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: no Microkit SDK: neither MICROKIT_SDK nor ~/microkit-sdk names one; `orion reach` was not compared"
        );
    }
    found
}

/// What the tool wrote.
pub struct Made {
    /// `report.txt`.
    pub report: String,
    /// The specification for the kernel's initialiser.
    pub capdl: Value,
}

/// Has the SDK's tool make an image of `case`, in `folder`.
pub fn make(sdk: &Path, case: &Case, folder: &Path) -> Made {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let text = emit::sdf(&case.plan);
    fs::write(folder.join("orion.system"), &text).unwrap();
    for (name, bytes) in emit::files(&case.plan) {
        fs::write(folder.join(name), bytes).unwrap();
    }
    programs(&text, case, folder);
    let mut tool = Command::new(sdk.join("bin/microkit"));
    tool.args(["orion.system", "--config", "release", "-o", "loader.img", "-r", "report.txt"]);
    tool.args(["--capdl-json", "capdl.json", "--search-path", ".", "--board", case.plan.board.name()]);
    let tool = tool.env("MICROKIT_SDK", sdk).current_dir(folder).stdin(Stdio::null());
    let output = tool.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: the Microkit tool: {said}", case.name);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    Made { report: read("report.txt"), capdl: serde_json::from_str(&read("capdl.json")).unwrap() }
}

/// Programs and prefill files that the description `text` names and that are not there.
fn programs(text: &str, case: &Case, folder: &Path) {
    let document = Document::parse(text).unwrap();
    let is_symbol = |name: &str| matches!(name, "symbol") || name.starts_with("setvar_");
    let attributes = document.descendants().flat_map(|node| node.attributes());
    let symbols: Vec<String> =
        attributes.filter(|a| is_symbol(a.name())).map(|attribute| attribute.value().to_owned()).collect();
    for node in document.descendants() {
        let (path, bytes) = match (node.attribute("path"), node.attribute("prefill_path")) {
            (Some(path), _) => (path, elf::program(case.plan.board, &symbols)),
            (_, Some(path)) => (path, vec![0; 4096]),
            _ => continue,
        };
        let path = folder.join(path);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}
