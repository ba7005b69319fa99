// SPDX-License-Identifier: MIT
//! Grants, commands, restarts and requests at random, against capabilities that are plain lists of blocks.
use super::*;
use crate::{COMPLETE, Command, Denial, Derivation, Holding, IMAGE_MAX, Outcome, Unreadable};

const CLIENTS: u8 = 3;
const WINDOWS: u8 = 4;
const VOLUME: u64 = 40;

#[derive(Clone, Debug)]
enum Step {
    Ask { client: u8, window: u8, block: u64, count: u32, op: usize },
    Command { by: u8, command: Command },
    Restart,
}

/// A capability, spelled out.
#[derive(Clone, Debug)]
struct Cap {
    id: usize,
    at: Holding,
    port: u8,
    blocks: Vec<u64>,
    rights: u16,
    /// From the grant down to the one above.
    above: Vec<usize>,
    maker: Option<u8>,
    frozen: Option<usize>,
    expires: u32,
}

#[derive(Clone, Debug, Default)]
struct Oracle {
    caps: Vec<Cap>,
    made: usize,
    epochs: [u32; 2],
}

const OBSERVE: u16 = 32;
const DERIVE: u16 = 64;
const ADMIN: u16 = 128;

impl Oracle {
    fn add(&mut self, mut cap: Cap) {
        cap.id = self.made;
        self.made += 1;
        self.caps.push(cap);
    }

    fn at(&self, at: Holding) -> Option<&Cap> {
        self.caps.iter().find(|c| c.at == at)
    }

    fn by_id(&self, id: usize) -> &Cap {
        self.caps.iter().find(|c| c.id == id).expect("whatever is above lives longer")
    }

    fn asleep(&self, cap: &Cap) -> bool {
        cap.frozen.is_some() || cap.above.iter().any(|id| self.by_id(*id).frozen.is_some())
    }

    /// Whether a capability of `by` with a right has all blocks of another one.
    fn over(&self, by: u8, right: u16, cap: &Cap) -> bool {
        let holds = |c: &Cap| {
            let mine = c.at.client == by && c.rights & right != 0 && !self.asleep(c);
            mine && c.port == cap.port && cap.blocks.iter().all(|b| c.blocks.contains(b))
        };
        self.caps.iter().any(holds)
    }

    /// 0 for admin, then 1 for who holds the grant, and so on.
    fn level(&self, by: u8, cap: &Cap) -> Option<usize> {
        if self.over(by, ADMIN, cap) {
            return Some(0);
        }
        cap.above.iter().position(|id| self.by_id(*id).at.client == by).map(|n| n + 1)
    }

    fn drop_below(&mut self, id: usize) {
        self.caps.retain(|c| c.id != id && !c.above.contains(&id));
    }

    fn command(&mut self, by: u8, command: &Command) -> Result<(), Denial> {
        match *command {
            Command::Derive(wish) => self.derive(by, &wish),
            Command::Revoke(at) => {
                let cap = self.at(at).ok_or(Denial::NotYours)?.clone();
                (at.client == by || self.level(by, &cap).is_some()).then_some(()).ok_or(Denial::NotYours)?;
                self.drop_below(cap.id);
                Ok(())
            }
            Command::Look(at) => {
                let cap = self.at(at).ok_or(Denial::NotYours)?;
                let allowed = at.client == by || self.level(by, cap).is_some() || self.over(by, OBSERVE, cap);
                allowed.then_some(()).ok_or(Denial::NotYours)
            }
            Command::Limit(at, _) => {
                let cap = self.at(at).ok_or(Denial::NotYours)?;
                self.level(by, cap).map(|_| ()).ok_or(Denial::NotYours)
            }
            Command::Narrow { target, blocks, rights } => {
                let cap = self.at(target).ok_or(Denial::NotYours)?.clone();
                (target.client == by || self.level(by, &cap).is_some()).then_some(()).ok_or(Denial::NotYours)?;
                (rights.bits() & !cap.rights == 0).then_some(()).ok_or(Denial::Rights)?;
                let has = cap.blocks.len() as u64;
                (blocks <= has).then_some(()).ok_or(Denial::Extent)?;
                let left = if blocks == 0 { &cap.blocks[..] } else { &cap.blocks[..blocks as usize] };
                for below in self.caps.iter_mut().filter(|c| c.id == cap.id || c.above.contains(&cap.id)) {
                    below.rights &= if rights == Rights::NONE { u16::MAX } else { rights.bits() };
                    below.blocks.retain(|block| left.contains(block));
                }
                while let Some(id) = self.caps.iter().find(|c| c.rights == 0 || c.blocks.is_empty()).map(|c| c.id) {
                    self.drop_below(id);
                }
                Ok(())
            }
            Command::Freeze(at) | Command::Unfreeze(at) => {
                let cap = self.at(at).ok_or(Denial::NotYours)?.clone();
                let level = self.level(by, &cap).ok_or(Denial::NotYours)?;
                let freeze = matches!(command, Command::Freeze(_));
                let frozen = match cap.frozen {
                    Some(higher) if !freeze && higher < level => return Err(Denial::Right),
                    earlier if freeze => Some(earlier.map_or(level, |e| e.min(level))),
                    _ => None,
                };
                self.caps.iter_mut().find(|c| c.id == cap.id).unwrap().frozen = frozen;
                Ok(())
            }
            Command::Order { window } => {
                let cap = self.at(Holding { client: by, window }).ok_or(Denial::NoCapability)?;
                (!self.asleep(cap) && cap.rights & ADMIN != 0).then_some(()).ok_or(Denial::Right)
            }
            Command::Advance { window } => {
                let cap = self.at(Holding { client: by, window }).ok_or(Denial::NoCapability)?;
                let port = cap.port;
                if self.asleep(cap) || cap.rights & ADMIN == 0 {
                    return Err(Denial::Right);
                }
                self.epochs[usize::from(port)] += 1;
                let epoch = self.epochs[usize::from(port)];
                let over = |c: &&Cap| c.port == port && c.expires != 0 && c.expires <= epoch;
                while let Some(id) = self.caps.iter().find(over).map(|c| c.id) {
                    self.drop_below(id);
                }
                Ok(())
            }
        }
    }

    fn derive(&mut self, by: u8, wish: &Derivation) -> Result<(), Denial> {
        let from = self.at(Holding { client: by, window: wish.from }).ok_or(Denial::NoCapability)?.clone();
        if self.asleep(&from) || from.rights & DERIVE == 0 {
            return Err(Denial::Right);
        }
        if wish.to.client > 61 || wish.to.window > 15 {
            return Err(Denial::NoWindow);
        }
        if self.at(wish.to).is_some() {
            return Err(Denial::Taken);
        }
        let rights = wish.rights.bits();
        if rights == 0 || rights & !from.rights != 0 {
            return Err(Denial::Rights);
        }
        let Extent { first, blocks } = wish.extent;
        let end = first.checked_add(blocks).filter(|end| *end <= from.blocks.len() as u64 && blocks > 0);
        let end = end.ok_or(Denial::Extent)?;
        let expires = match (wish.expires, from.expires) {
            (0, e) | (e, 0) => e,
            (a, b) => a.min(b),
        };
        if expires != 0 && expires <= self.epochs[usize::from(from.port)] {
            return Err(Denial::Expired);
        }
        let made = self.caps.iter().filter(|c| c.maker == Some(by)).count();
        if from.above.len() >= 8 || made >= 24 {
            return Err(Denial::Full);
        }
        let blocks = from.blocks[first as usize..end as usize].to_vec();
        let above = from.above.iter().copied().chain([from.id]).collect();
        self.add(Cap { at: wish.to, blocks, rights, above, maker: Some(by), frozen: None, expires, ..from });
        Ok(())
    }

    /// The blocks of 4096 bytes that a request touches; `None` where it is to be denied.
    fn blocks(&self, client: u8, window: u8, block: u64, count: u32, op: Op) -> Option<(u8, Vec<u64>)> {
        let cap = self.at(Holding { client, window })?;
        if self.asleep(cap) || cap.rights & Rights::needed(op).bits() == 0 {
            return None;
        }
        if op == Op::Flush {
            return Some((cap.port, Vec::new()));
        }
        let touched = (block..block + u64::from(count)).map(|n| cap.blocks.get(n as usize).copied());
        touched.collect::<Option<Vec<u64>>>().map(|blocks| (cap.port, blocks))
    }
}

impl Bench {
    pub(super) fn command(&mut self, by: u8, command: &Command) -> Result<Outcome, Denial> {
        let mut above = Above(&mut self.queues, &mut self.answers);
        let mut below = Below(&self.volumes, &mut self.held, &mut self.ended);
        let (uppers, lowers) = (&mut above, &mut below);
        let mut around = Around { uppers, lowers, payload: &mut NoPayload, now: Instant(0) };
        self.node.control(&mut around, |layer, io| layer.command(by, command, io)).unwrap()
    }

    /// The gatekeeper dies and begins anew from its image.
    fn restart(&mut self, spoil: Option<usize>) -> Result<(), Unreadable> {
        let mut bytes = vec![0; IMAGE_MAX];
        let len = self.node.layer().image(1, 7, &mut bytes).unwrap();
        if let Some(bit) = spoil {
            bytes[bit / 8 % len] ^= 1 << (bit % 8);
        }
        let mut layer = Gatekeeper::new();
        let restored = layer.restore([(COMPLETE, &bytes), (0, &[])], 7);
        self.node = Node::new(layer, 1);
        self.run();
        restored.map(|found| assert_eq!(found, Some((1, 0))))
    }
}

fn step() -> impl Strategy<Value = Step> {
    let at = (0..CLIENTS, 0..WINDOWS).prop_map(|(client, window)| Holding { client, window });
    let odd = prop_oneof![20 => at.clone(), 1 => Just(Holding { client: 62, window: 0 }), 1 => Just(Holding { client: 1, window: 16 })];
    let rights = prop_oneof![4 => Just(0xffu16), 3 => Just(0x7f), 3 => 0u16..256];
    let extent = (
        prop_oneof![6 => 0u64..6, 1 => 0u64..60, 1 => Just(u64::MAX)],
        prop_oneof![9 => 0u64..24, 1 => Just(u64::MAX)],
    );
    let derive = (0..WINDOWS, odd.clone(), extent, rights.clone(), prop_oneof![3 => Just(0u32), 1 => 0u32..4]);
    let derive = derive.prop_map(|(from, to, (first, blocks), rights, expires)| {
        let (extent, rights) = (Extent { first, blocks }, Rights::from_bits(rights));
        Command::Derive(Derivation { from, to, extent, rights, budget: Budget::NONE, expires })
    });
    let command = prop_oneof![
        8 => derive,
        3 => odd.clone().prop_map(Command::Revoke),
        2 => odd.clone().prop_map(Command::Freeze),
        2 => odd.clone().prop_map(Command::Unfreeze),
        1 => odd.clone().prop_map(Command::Look),
        2 => (odd.clone(), 0u64..24, rights.clone()).prop_map(|(target, blocks, rights)| {
            Command::Narrow { target, blocks, rights: Rights::from_bits(rights) }
        }),
        // One request at a time is asked, so none ever waits for these.
        2 => (odd, 0u32..3).prop_map(|(at, in_flight)| Command::Limit(at, Budget { in_flight, ..Budget::NONE })),
        1 => (0..WINDOWS).prop_map(|window| Command::Advance { window }),
        1 => (0..WINDOWS).prop_map(|window| Command::Order { window }),
    ];
    let block = prop_oneof![9 => 0u64..24, 1 => 0u64..60];
    prop_oneof![
        6 => (0..CLIENTS, 0..WINDOWS, block, 1u32..6, 0usize..5)
            .prop_map(|(client, window, block, count, op)| Step::Ask { client, window, block, count, op }),
        8 => (0..CLIENTS, command).prop_map(|(by, command)| Step::Command { by, command }),
        1 => Just(Step::Restart),
    ]
}

type Granted = (u8, u8, u8, u64, u64, u16);

fn world() -> impl Strategy<Value = (Vec<Granted>, Vec<Step>, usize)> {
    let rights = prop_oneof![3 => Just(0x7fu16), 1 => Just(0xff), 1 => 1u16..256];
    let grants = prop::collection::vec((0..CLIENTS, 0..WINDOWS, 0u8..2, 0u64..10, 4u64..30, rights), 1..5);
    (grants, prop::collection::vec(step(), 1..80), any::<usize>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn the_engine_does_what_lists_of_blocks_say((granted, steps, bit) in world()) {
        let volumes = vec![volume(BlockSize::B512, VOLUME), volume(BlockSize::B4096, VOLUME)];
        let (mut grants, mut oracle) = (Vec::new(), Oracle::default());
        for &(client, window, port, first, blocks, rights) in &granted {
            let at = Holding { client, window };
            if oracle.at(at).is_none() {
                grants.push(Capability { client, port, ..capability(window, first, blocks, rights) });
                let (blocks, above) = ((first..first + blocks).collect(), Vec::new());
                oracle.add(Cap { id: 0, at, port, blocks, rights, above, maker: None, frozen: None, expires: 0 });
            }
        }
        let mut bench = Bench::new(usize::from(CLIENTS), volumes, &grants);
        bench.run();
        for step in &steps {
            match step {
                Step::Ask { client, window, block, count, op } => {
                    let op = Op::ALL[*op];
                    let asked = req(op, u64::from(*window) << WINDOW_SHIFT | block, *count);
                    let want = oracle.blocks(*client, *window, *block, *count, op);
                    let got = bench.ask(*client, asked).map(|(port, seen)| {
                        let shift = if port == 0 { 3 } else { 0 };
                        let blocks = if op == Op::Flush { 0..0 } else { seen.lba.0 >> shift..seen.end().unwrap() >> shift };
                        (port, blocks.collect::<Vec<u64>>())
                    });
                    prop_assert_eq!(got.ok(), want, "{:?}", step);
                }
                Step::Command { by, command } => {
                    let want = oracle.command(*by, command);
                    prop_assert_eq!(bench.command(*by, command).map(|_| ()), want, "{:?}", step);
                }
                Step::Restart => prop_assert_eq!(bench.restart(None), Ok(())),
            }
        }
        // An image with any bit changed allows nothing at all.
        prop_assert_eq!(bench.restart(Some(bit)), Err(Unreadable));
        for (client, window) in (0..CLIENTS).flat_map(|c| (0..WINDOWS).map(move |w| (c, w))) {
            let asked = req(Op::Read, u64::from(window) << WINDOW_SHIFT, 1);
            prop_assert_eq!(bench.ask(client, asked), Err(Error::Denied));
        }
    }
}
