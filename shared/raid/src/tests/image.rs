// SPDX-License-Identifier: MIT
//! The arrays of tests/golden/raid, in memory.
use crate::wire::SUPER_BYTES;
use crate::{Array, Error, Kind, Read, Super, probe};
use std::fs;
use std::path::PathBuf;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// The word that fills the sector `number` of the pattern.
pub fn word(number: u64) -> u64 {
    let mix = ((number * 0x9e37_79b1) >> 3) ^ number.wrapping_mul(0x85eb_ca6b);
    number | (mix & 0xffff_ffff) << 32
}

/// Sectors of the pattern.
pub fn pattern(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(|number| word(number).to_le_bytes().repeat(64)).collect()
}

/// Members' images.
#[derive(Clone, Debug, Default)]
pub struct Images {
    pub sectors: u64,
    pub members: Vec<Vec<u8>>,
    /// Reads that were asked for.
    pub reads: usize,
}

impl Read for Images {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        self.reads += 1;
        let at = sector as usize * 512;
        let Some(bytes) = self.members.get(device).and_then(|image| image.get(at..at + to.len())) else { return false };
        to.copy_from_slice(bytes);
        true
    }
}

impl Images {
    /// The array `name`.
    pub fn golden(name: &str) -> Self {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/raid"));
        let text = fs::read_to_string(folder.join(std::format!("{name}.array"))).unwrap();
        let mut images = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["sectors", n] => images.sectors = n.parse().unwrap(),
                ["sha256", _] => {}
                ["member", n] => images.members.push(vec![0; n.parse::<usize>().unwrap() * 512]),
                [at, kind, ref rest @ ..] => {
                    let at = at.parse::<usize>().unwrap() * 512;
                    let bytes = held(kind, rest);
                    images.members.last_mut().unwrap()[at..at + bytes.len()].copy_from_slice(&bytes);
                }
                _ => panic!("{line}"),
            }
        }
        images
    }

    /// All but some members.
    pub fn without(&self, gone: &[usize]) -> Self {
        let kept = self.members.iter().enumerate().filter(|(index, _)| !gone.contains(index));
        Self { members: kept.map(|(_, image)| image.clone()).collect(), ..*self }
    }

    /// The superblock of each member; all have one.
    pub fn supers(&self) -> Vec<Super> {
        self.members.iter().map(|image| found(image).unwrap().unwrap()).collect()
    }

    /// The one array of the members.
    pub fn assemble(&self) -> Result<Array, Error> {
        let supers = self.supers();
        Array::assemble(&supers, supers.first().ok_or(Error { kind: Kind::Nothing, at: 0 })?.set)
    }

    /// All that the array holds.
    pub fn content(&mut self, array: &Array) -> Result<Vec<u8>, Error> {
        let mut all = vec![0xee; array.sectors() as usize * 512];
        crate::read(array, self, 0, &mut all, &mut vec![0; 6 * 1024])?;
        Ok(all)
    }

    /// As much of what it holds as the array's content, by sector: what differs from the pattern is listed.
    pub fn differs(&mut self, expected: impl Fn(u64) -> u64) -> Vec<String> {
        let array = self.assemble().unwrap();
        assert_eq!(array.sectors(), self.sectors);
        let content = self.content(&array).unwrap();
        let sectors = content.chunks(512).zip(0..).filter(|(bytes, n)| **bytes != pattern([expected(*n)]));
        let shown = sectors.map(|(bytes, n)| {
            let found = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            std::format!("sector {n} holds what is of {found}")
        });
        shown.take(8).collect()
    }
}

/// What a line's words stand for.
fn held(kind: &str, words: &[&str]) -> Vec<u8> {
    match kind {
        "=" => {
            let first: u64 = words[0].parse().unwrap();
            pattern(first..first + words[1].parse::<u64>().unwrap())
        }
        ":" => words.iter().flat_map(|w| u64::from_str_radix(w, 16).unwrap().to_le_bytes().repeat(64)).collect(),
        _ => (0..words[0].len() / 2).map(|i| u8::from_str_radix(&words[0][i * 2..i * 2 + 2], 16).unwrap()).collect(),
    }
}

/// The first superblock of an image.
pub fn found(image: &[u8]) -> Option<Result<Super, Error>> {
    let sectors = image.len() as u64 / 512;
    probe::places(sectors).find_map(|at| {
        let from = at as usize * 512;
        Super::parse(&image[from..from + SUPER_BYTES], at, sectors)
    })
}
