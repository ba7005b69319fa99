// SPDX-License-Identifier: MIT
//! Inputs that are in the tree: each target's own, and for some the files that other tests have anyway.
use std::fs;
use std::path::{Path, PathBuf};

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, fs::read(entry.path()).ok()?)));
    let mut files: Vec<_> = named.collect();
    files.sort();
    files
}

/// The inputs of a target, by name.
pub fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = files(&tree().join("fuzz/corpus").join(target));
    match target {
        "system" => {
            for kind in ["good", "odd", "bad"] {
                inputs.extend(files(&tree().join("xml").join(kind)));
            }
        }
        "table" => {
            let images = files(&tree().join("golden/gpt")).into_iter().filter(|(name, _)| name.ends_with(".image"));
            inputs.extend(images.flat_map(|(name, text)| [0, 1].map(|mend| (name.clone(), image(&text, mend)))));
        }
        _ => {}
    }
    inputs
}

/// A golden image (see `tests/golden/gpt`) as an input of the target `table`.
fn image(text: &[u8], mend: u8) -> Vec<u8> {
    let (mut size, mut block, mut blocks) = (0u64, 512u64, Vec::new());
    for line in String::from_utf8_lossy(text).lines() {
        let Some((word, rest)) = line.split_once(' ') else { continue };
        match word {
            "size" => size = rest.parse().unwrap_or(0),
            "block" => block = rest.parse().unwrap_or(512),
            at => {
                let bytes = rest
                    .as_bytes()
                    .chunks(2)
                    .filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
                blocks.push((at.parse::<u64>().unwrap_or(0), bytes.collect::<Vec<u8>>()));
            }
        }
    }
    let shift = block.trailing_zeros() as u8;
    let mut input = vec![shift - 9, mend];
    input.extend((size / block).to_le_bytes());
    for (at, bytes) in blocks {
        // Sectors within larger blocks: only those at a block's start are kept.
        if at.is_multiple_of(block) {
            input.extend((at / block).to_le_bytes());
            input.extend((bytes.len() as u16).to_le_bytes());
            input.extend(bytes);
        }
    }
    input
}
