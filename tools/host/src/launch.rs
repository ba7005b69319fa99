// SPDX-License-Identifier: MIT
//! What the process of a PD is told, as words on its command line: `ps` shows what each PD may touch.
use std::fmt::{self, Display};
use std::os::fd::RawFd;
use std::str::FromStr;

/// The hidden subcommand that makes a process a PD.
pub const SUBCOMMAND: &str = "pd";

/// Instead of the counter that rings a doorbell: there is none.
pub const NO_KICK: RawFd = -1;
/// Instead of it: there is none, and the device interrupts by its pin.
pub const BY_PIN: RawFd = -2;

/// A mapping that the process makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Descriptor of the memory; opened for reading only where the mapping is.
    pub fd: RawFd,
    /// Where.
    pub vaddr: u64,
    /// Bytes.
    pub size: u64,
    /// Whether it may be written.
    pub write: bool,
    /// The region's name, for reports.
    pub name: String,
}

/// A register file of the PD's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// The address by which the PD asks for it.
    pub vaddr: u64,
    /// Bytes.
    pub size: u64,
    /// Its address in the machine.
    pub phys: u64,
}

/// The other end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Our channel to it.
    pub channel: u8,
    /// The channel's number at the peer.
    pub bit: u8,
    /// Its word of pending channels.
    pub pending: RawFd,
    /// Its sleeping flag; opened for reading only.
    pub sleeping: RawFd,
    /// Its event counter.
    pub event: RawFd,
}

/// All that a PD's process is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The PD's name.
    pub name: String,
    /// Its program.
    pub program: String,
    /// Its configuration: descriptor and bytes.
    pub config: Option<(RawFd, u64)>,
    /// Its word of pending channels, its sleeping flag, its event counter.
    pub own: Option<(RawFd, RawFd, RawFd)>,
    /// Its console: descriptor and bytes of the ring, and the event counter that tells the parent to look at it.
    pub console: Option<(RawFd, u64, RawFd)>,
    /// Its mappings.
    pub maps: Vec<Map>,
    /// Its device's register files.
    pub files: Vec<File>,
    /// Its connection to the device's model, the counter that rings a doorbell or what stands for it, and the channel of the interrupt.
    pub device: Option<(RawFd, RawFd, u8)>,
    /// The peers it may wake.
    pub peers: Vec<Peer>,
    /// The pages over which it makes protected calls: its channel, and the page.
    pub calls: Vec<(u8, RawFd)>,
    /// The pages over which it serves them.
    pub serves: Vec<(u8, RawFd)>,
    /// The listening sockets of an export, or of the manager.
    pub listen: Vec<RawFd>,
    /// The supervisor's connection to the launcher.
    pub parent: Option<RawFd>,
}

impl Launch {
    /// The words after [`SUBCOMMAND`].
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![word("name", [&self.name]), word("program", [&self.program])];
        words.extend(self.config.map(|(fd, size)| word("config", [fd.to_string(), hex(size)])));
        words.extend(self.own.map(|(pending, sleeping, event)| word("own", [pending, sleeping, event])));
        words.extend(
            self.console.map(|(ring, size, host)| word("console", [ring.to_string(), hex(size), host.to_string()])),
        );
        words.extend(self.maps.iter().map(|m| {
            let right = if m.write { "rw" } else { "r" };
            word("map", [m.fd.to_string(), hex(m.vaddr), hex(m.size), right.to_owned(), m.name.clone()])
        }));
        words.extend(self.files.iter().map(|f| word("registers", [f.vaddr, f.size, f.phys].map(hex))));
        words.extend(self.device.map(|(qtest, kick, irq)| word("device", [qtest, kick, irq.into()])));
        words.extend(
            self.peers.iter().map(|p| word("peer", [p.channel.into(), p.bit.into(), p.pending, p.sleeping, p.event])),
        );
        let pages = |key, pages: &[(u8, RawFd)]| -> Vec<String> {
            pages.iter().map(|(channel, page)| word(key, [RawFd::from(*channel), *page])).collect()
        };
        words.extend(pages("call", &self.calls));
        words.extend(pages("serve", &self.serves));
        words.extend(self.listen.iter().map(|fd| word("listen", [fd])));
        words.extend(self.parent.map(|fd| word("parent", [fd])));
        words
    }

    /// Reads what [`words`](Self::words) wrote; `None` where it is something else.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut launch = Self::default();
        for word in words {
            let (key, values) = word.split_once('=')?;
            launch.take(key, &mut Values(values.split(',')))?;
        }
        Some(launch)
    }

    fn take(&mut self, key: &str, v: &mut Values<'_>) -> Option<()> {
        match key {
            "name" => self.name = v.next()?,
            "program" => self.program = v.next()?,
            "config" => self.config = Some((v.next()?, v.hex()?)),
            "own" => self.own = Some((v.next()?, v.next()?, v.next()?)),
            "console" => self.console = Some((v.next()?, v.hex()?, v.next()?)),
            "map" => self.maps.push(Map {
                fd: v.next()?,
                vaddr: v.hex()?,
                size: v.hex()?,
                write: v.next::<String>()? == "rw",
                name: v.next()?,
            }),
            "registers" => self.files.push(File { vaddr: v.hex()?, size: v.hex()?, phys: v.hex()? }),
            "device" => self.device = Some((v.next()?, v.next()?, v.next()?)),
            "peer" => self.peers.push(Peer {
                channel: v.next()?,
                bit: v.next()?,
                pending: v.next()?,
                sleeping: v.next()?,
                event: v.next()?,
            }),
            "call" => self.calls.push((v.next()?, v.next()?)),
            "serve" => self.serves.push((v.next()?, v.next()?)),
            "listen" => self.listen.push(v.next()?),
            "parent" => self.parent = Some(v.next()?),
            _ => return None,
        }
        Some(())
    }

    /// Every descriptor that the process must inherit.
    pub fn inherited(&self) -> Vec<RawFd> {
        let mut fds: Vec<RawFd> = self.maps.iter().map(|map| map.fd).collect();
        fds.extend(self.config.map(|(fd, _)| fd));
        fds.extend(self.own.into_iter().flat_map(|(pending, sleeping, event)| [pending, sleeping, event]));
        fds.extend(self.peers.iter().flat_map(|peer| [peer.pending, peer.sleeping, peer.event]));
        fds.extend(self.calls.iter().chain(&self.serves).map(|(_, page)| *page));
        fds.extend(self.console.into_iter().flat_map(|(ring, _, host)| [ring, host]));
        fds.extend(self.device.into_iter().flat_map(|(qtest, kick, _)| [qtest, kick]).filter(|fd| *fd >= 0));
        fds.extend(self.listen.iter().copied().chain(self.parent));
        fds.sort_unstable();
        fds.dedup();
        fds
    }
}

fn word<T: Display, const N: usize>(key: &str, values: [T; N]) -> String {
    format!("{key}={}", values.map(|value| value.to_string()).join(","))
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

struct Values<'a>(std::str::Split<'a, char>);

impl Values<'_> {
    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn hex(&mut self) -> Option<u64> {
        u64::from_str_radix(self.0.next()?.strip_prefix("0x")?, 16).ok()
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        let launch = Launch {
            name: "gatekeeper".into(),
            program: "gatekeeper".into(),
            config: Some((3, 0x1000)),
            own: Some((4, 5, 6)),
            console: Some((7, 0x4000, 15)),
            maps: vec![
                Map { fd: 8, vaddr: 0x400_0000, size: 0x1000, write: true, name: "a".into() },
                Map { fd: 9, vaddr: 0x401_0000, size: 0x20_0000, write: false, name: "b".into() },
            ],
            files: vec![File { vaddr: 1 << 32, size: 4096, phys: 0xb000_8000 }],
            device: Some((10, 16, 61)),
            peers: vec![Peer { channel: 1, bit: 2, pending: 11, sleeping: 12, event: 13 }],
            calls: vec![(7, 18)],
            serves: vec![(61, 19), (0, 20)],
            listen: vec![14, 15],
            parent: Some(17),
        };
        assert_eq!(Launch::parse(launch.words()), Some(launch.clone()));
        assert_eq!(launch.inherited(), (3..=20).collect::<Vec<_>>());
        assert_eq!(Launch::parse(["map=1,0x1".to_owned()]), None);
    }
}
