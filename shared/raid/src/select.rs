// SPDX-License-Identifier: MIT
//! Which array is meant.
use crate::{Super, Uuid};

/// How an array is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// By its identifier.
    Uuid(Uuid),
    /// By its name, padded with zeroes: all of it, or what follows the name of the host that made it.
    Name([u8; 32]),
}

impl Select {
    /// What `uuid=...` or `name=...` means: 32 hexadecimal digits with colons or dashes between, or 1 to 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let (how, what) = text.split_once('=')?;
        match how {
            "uuid" => uuid(what).map(Self::Uuid),
            "name" if !what.is_empty() => {
                let mut name = [0; 32];
                name.get_mut(..what.len())?.copy_from_slice(what.as_bytes());
                Some(Self::Name(name))
            }
            _ => None,
        }
    }

    /// Whether the superblock is of this array.
    pub fn is(&self, found: &Super) -> bool {
        self.means(found.set, &found.name)
    }

    fn means(&self, set: Uuid, name: &[u8; 32]) -> bool {
        match self {
            Self::Uuid(wanted) => set == *wanted,
            Self::Name(wanted) => {
                let [wanted, all] = [bare(wanted), bare(name)];
                let host = all.iter().position(|byte| *byte == b':').map_or(0, |at| at + 1);
                all == wanted || all.get(host..) == Some(wanted)
            }
        }
    }
}

/// A name without what it is padded with.
fn bare(name: &[u8; 32]) -> &[u8] {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.get(..end).unwrap_or(name)
}

fn uuid(text: &str) -> Option<Uuid> {
    let mut uuid = [0; 16];
    let mut digits = text.bytes().filter(|byte| !b":-".contains(byte));
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for byte in &mut uuid {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    digits.next().is_none().then_some(Uuid(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_named_as_mdadm_does() {
        let mut name = [0; 32];
        name[..8].copy_from_slice(b"box:data");
        let is = |text: &str| Select::parse(text).map(|select| select.means(Uuid([0xab; 16]), &name));
        for text in ["name=data", "name=box:data", "uuid=abababab:abababab:abababab:abababab"] {
            assert_eq!(is(text), Some(true), "{text}");
        }
        for text in ["name=box", "name=dat", "name=:data", "name=box:data2", "uuid=abababababababababababababababac"] {
            assert_eq!(is(text), Some(false), "{text}");
        }
        for text in [
            "name=",
            "uuid=ab",
            "uuid=abababababababababababababababab1",
            "number=1",
            "data",
            "uuid=+bababababababababababababababababab",
        ] {
            assert_eq!(is(text), None, "{text}");
        }
        assert!(Select::parse(&std::format!("name={}", "x".repeat(33))).is_none());
    }
}
