// SPDX-License-Identifier: MIT
//! Namespace identification descriptors (section 5.15.2.3, figure 249): what a namespace is called, wherever it is attached.
use super::Namespace;
use core::fmt::{self, Write};
use orion_driver::Text;

/// Bytes of the page that are looked at: a descriptor of each kind takes 57.
pub const BYTES: usize = 128;

/// What a namespace is called; zeroes where it has no such name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// IEEE extended unique identifier.
    pub eui64: [u8; 8],
    /// Globally unique identifier.
    pub nguid: [u8; 16],
    /// Universally unique identifier (RFC 4122).
    pub uuid: [u8; 16],
    /// Its command set (TP 4056): 0 for blocks, 2 for zones.
    pub set: u8,
}

impl Names {
    /// Those that Identify Namespace has.
    pub const fn of(namespace: &Namespace) -> Self {
        Self { eui64: namespace.eui64, nguid: namespace.nguid, uuid: [0; 16], set: 0 }
    }

    /// With those of a list of descriptors. Any bytes are one: it ends at the first that is empty, or does not lie within.
    #[must_use]
    pub fn with(mut self, list: &[u8; BYTES]) -> Self {
        let mut rest = &list[..];
        while let Some(([kind, len, _, _], after)) = rest.split_first_chunk::<4>() {
            let Some((name, next)) = after.split_at_checked(usize::from(*len)).filter(|(name, _)| !name.is_empty())
            else {
                break;
            };
            if let (4, [set]) = (kind, name) {
                self.set = *set;
            }
            match (kind, name.try_into(), name.try_into()) {
                (1, Ok(name), _) => self.eui64 = name,
                (2, _, Ok(name)) => self.nguid = name,
                (3, _, Ok(name)) => self.uuid = name,
                _ => {}
            }
            rest = next;
        }
        self
    }

    /// The one that says most, as Linux writes it but for the UUID, which stands for itself.
    pub fn text(&self) -> Text {
        let mut line = Line { bytes: [0; 40], len: 0 };
        // The longest has 38 characters.
        let _ = if self.uuid != [0; 16] {
            uuid(&mut line, &self.uuid)
        } else if self.nguid != [0; 16] {
            line.write_str("nguid.").and_then(|()| hex(&mut line, &self.nguid))
        } else if self.eui64 != [0; 8] {
            line.write_str("eui.").and_then(|()| hex(&mut line, &self.eui64))
        } else {
            Ok(())
        };
        Text::new(line.bytes.get(..line.len).unwrap_or_default())
    }
}

fn hex(to: &mut Line, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
}

fn uuid(to: &mut Line, bytes: &[u8; 16]) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(to, "{dash}{byte:02x}")?;
    }
    Ok(())
}

struct Line {
    bytes: [u8; 40],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn list(descriptors: &[(u8, &[u8])]) -> [u8; BYTES] {
        let mut bytes: Vec<u8> =
            descriptors.iter().flat_map(|(kind, name)| [&[*kind, name.len() as u8, 0, 0], *name].concat()).collect();
        bytes.resize(BYTES, 0);
        bytes.try_into().unwrap()
    }

    #[test]
    fn the_name_that_says_most_is_shown() {
        let (eui, nguid, uuid): ([u8; 8], [u8; 16], [u8; 16]) =
            ([0x0a; 8], [0x5b; 16], core::array::from_fn(|i| i as u8));
        let all = Names::default().with(&list(&[(4, &[0]), (1, &eui), (2, &nguid), (9, &[7; 3]), (3, &uuid)]));
        assert_eq!(all, Names { eui64: eui, nguid, uuid, set: 0 });
        assert_eq!(all.text().as_str(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(Names { uuid: [0; 16], ..all }.text().as_str(), "nguid.5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b");
        assert_eq!(Names { eui64: eui, ..Names::default() }.text().as_str(), "eui.0a0a0a0a0a0a0a0a");
        assert_eq!(Names::default().text().as_str(), "");
    }

    #[test]
    fn any_list_ends() {
        for byte in 0..=255 {
            let _ = Names::default().with(&[byte; BYTES]);
        }
        // A name of the wrong length is none; what reaches beyond the page is not there.
        assert_eq!(Names::default().with(&list(&[(1, &[1; 16]), (3, &[1; 8])])), Names::default());
        let mut list = list(&[(9, &[1; 100])]);
        list[104..108].copy_from_slice(&[3, 200, 0, 0]);
        assert_eq!(Names::default().with(&list), Names::default());
    }
}
