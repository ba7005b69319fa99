// SPDX-License-Identifier: MIT
//! Persistent reservations: as much as tests need of SPC-4, section 5.13.
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// Who is registered, and who holds the unit.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    generation: u32,
    keys: BTreeMap<u64, u64>,
    /// The holder, and the type.
    held: Option<(u64, u8)>,
}

impl Reservations {
    /// Whether a command of `nexus` conflicts with the reservation.
    pub fn refuses(&self, nexus: u64, opcode: u8) -> bool {
        let Some((holder, kind)) = self.held else { return false };
        let registered = matches!(kind, 5 | 6) && self.keys.contains_key(&nexus);
        if holder == nexus || registered {
            return false;
        }
        let write = matches!(opcode, 0x2a | 0xaa | 0x8a | 0x93 | 0x42 | 0x89 | 0x15);
        let read = matches!(opcode, 0x28 | 0xa8 | 0x88);
        write || read && matches!(kind, 3 | 6)
    }

    /// PERSISTENT RESERVE IN and OUT; nothing where the command is not one.
    pub fn command(&mut self, nexus: u64, cdb: &[u8], out: &[u8]) -> Option<Vec<u8>> {
        let action = cdb[1] & 0x1f;
        if cdb[0] == 0x5e {
            return self.tell(action);
        }
        let key = |at: usize| u64::from_be_bytes(out[at..at + 8].try_into().unwrap());
        let (own, other) = (key(0), key(8));
        let registered = self.keys.get(&nexus).copied();
        match action {
            0 | 6 => {
                if action == 0 && registered.unwrap_or(0) != own {
                    return None;
                }
                self.generation += 1;
                if other == 0 {
                    self.keys.remove(&nexus)
                } else {
                    self.keys.insert(nexus, other)
                };
            }
            _ if registered != Some(own) => return None,
            1 if self.held.is_none_or(|(holder, _)| holder == nexus) => self.held = Some((nexus, cdb[2] & 0xf)),
            2 => self.held = self.held.filter(|(holder, _)| *holder != nexus),
            3 => {
                self.keys.clear();
                self.held = None;
            }
            4 | 5 => {
                self.keys.retain(|_, key| *key != other);
                self.held = Some((nexus, cdb[2] & 0xf));
            }
            _ => return None,
        }
        Some(vec![])
    }

    fn tell(&self, action: u8) -> Option<Vec<u8>> {
        let body: Vec<u8> = match action {
            0 => self.keys.values().flat_map(|key| key.to_be_bytes()).collect(),
            1 => self.held.map_or(vec![], |(holder, kind)| {
                let key = self.keys.get(&holder).copied().unwrap_or(0);
                [&key.to_be_bytes()[..], &[0, 0, 0, 0, 0, kind, 0, 0]].concat()
            }),
            _ => return None,
        };
        Some([&self.generation.to_be_bytes()[..], &(body.len() as u32).to_be_bytes(), &body].concat())
    }
}
