// SPDX-License-Identifier: MIT
//! What the gatekeeper tells the audit. Nothing here is reached by a request that passes.
use crate::client_name;
use orion_audit::{Log, Name, Producer, Record, Settled, What};
use orion_caps::{Capability, Gatekeeper, Holding, Outcome, Refusal, Rights, Unreadable, crc32c};
use orion_control::{Ask, Kind, Refused};
use orion_pd::config::{Config, NONE, Role};
use orion_pd::{Channel, World};

/// The PD that keeps the records.
const AUDITOR: &str = "auditor";

/// The audit of a gatekeeper.
#[derive(Debug)]
pub struct Audit {
    /// `None` where the system has none.
    log: Option<Log>,
    /// Wakes who keeps the records.
    keeper: Option<Channel>,
}

impl Audit {
    /// The audit that the configuration names.
    ///
    /// # Errors
    /// What an earlier life left of it can't be read, so that its chain can't go on.
    pub fn new<W: World>(world: &mut W) -> Result<Self, Unreadable> {
        let config = world.config();
        let keeper = config.links_as(Role::Server).find(|(_, link)| link.peer.as_str() == AUDITOR);
        let keeper = keeper.and_then(|(_, link)| u8::try_from(link.channel.get()).ok()).map(Channel);
        let Some(vaddr) = config.setting("audit_vaddr") else { return Ok(Self { log: None, keeper }) };
        let records = world.window(vaddr).ok_or(Unreadable)?;
        let page = config.setting("audit_taken_vaddr").and_then(|vaddr| world.window(vaddr)).ok_or(Unreadable)?;
        let waits = config.setting("audit_waits").is_some_and(|waits| waits != 0);
        let producer = Producer::attach(records, page, waits).ok_or(Unreadable)?;
        // The manager comes after all that have a ring.
        let managers = config.controls.iter().filter(|control| control.link.get() == NONE).count();
        let clients = config.links_as(Role::Server).count() + managers;
        Ok(Self { log: Some(Log::new(producer, clients, waits)), keeper })
    }

    /// No audit.
    pub const fn none() -> Self {
        Self { log: None, keeper: None }
    }

    fn note(&mut self, record: &Record) {
        if let Some(log) = &mut self.log {
            let _without_room_there_is_none = log.note(record);
        }
    }

    /// Records a start: with the grants, or with the state `state` of an earlier life.
    pub fn started<W: World>(&mut self, state: Result<Option<u64>, Unreadable>, granted: &[Capability], world: &mut W) {
        let (config, time) = (world.config(), world.now().0);
        let again = self.log.as_ref().is_some_and(Log::restarted);
        let base = Record { time, ..Record::default() };
        match state {
            Err(Unreadable) => self.note(&Record { what: What::StateLost, ..base }),
            Ok(Some(state)) => self.note(&Record { what: What::Restarted, state, ..base }),
            Ok(None) if again => self.note(&Record { what: What::Restarted, ..base }),
            Ok(None) => {
                let extent = orion_caps::Extent { first: u64::from(crc32c(config.grants_bytes())), blocks: 0 };
                self.note(&Record { what: What::Started, count: granted.len() as u64, extent, ..base });
                for capability in granted {
                    let record = of(&config, capability, base);
                    let who = name(&config, capability.client);
                    self.note(&Record { what: What::Granted, who, window: capability.window, ..record });
                }
            }
        }
        self.settle(world);
    }

    /// Counts malformed requests, and records that the connection of `client` was closed.
    pub fn faults<W: World>(&mut self, client: u8, before: (u64, bool), now: (u64, bool), world: &W) {
        self.missed(client, now.0.saturating_sub(before.0));
        if now.1 == before.1 {
            return;
        }
        let who = name(&world.config(), client);
        self.note(&Record { what: What::Closed, who, time: world.now().0, ..Record::default() });
    }

    /// Records that a volume was closed.
    pub fn volume_closed<W: World>(&mut self, port: u8, world: &W) {
        let volume = volume(&world.config(), port);
        self.note(&Record { what: What::VolumeClosed, volume, time: world.now().0, ..Record::default() });
    }

    /// Records a refused request; a block of the client's has `1 << shift` bytes.
    pub fn refused<W: World>(&mut self, refusal: &Refusal, shift: u8, world: &W) {
        let Some(log) = &mut self.log else { return };
        let (config, now) = (world.config(), world.now());
        let place = orion_caps::Place::of(refusal.req.lba);
        let record = Record {
            what: What::Refused(refusal.req.op, refusal.reason),
            client: refusal.client,
            who: name(&config, refusal.client),
            window: u8::try_from(place.window).unwrap_or(u8::MAX),
            extent: orion_caps::Extent { first: place.block, blocks: u64::from(refusal.req.blocks) },
            line: refusal.line,
            time: now.0,
            shift,
            ..Record::default()
        };
        log.refused(&record, now);
    }

    /// Counts refusals of which no more is known.
    pub fn missed(&mut self, client: u8, refusals: u64) {
        if let Some(log) = &mut self.log {
            log.missed(client, refusals);
        }
    }

    /// Whether a change by `client` can be recorded; if not, it must not be done.
    pub fn may(&mut self, client: u8) -> bool {
        self.log.as_mut().is_none_or(|log| log.may(client))
    }

    /// Links what was recorded, and wakes who keeps it.
    pub fn settle<W: World>(&mut self, world: &mut W) -> Settled {
        let Some(log) = &mut self.log else { return Settled::default() };
        let config = world.config();
        let settled = log.settle(world.now(), |client| name(&config, client));
        if let Some(channel) = self.keeper.filter(|_| settled.published) {
            world.notify(channel);
        }
        settled
    }
}

/// A command before it is done: who asks for what, and what it concerns.
#[derive(Debug)]
pub struct Subject {
    client: u8,
    ask: Result<Ask, Refused>,
    /// Where what it is about is held, if there is such a client.
    target: Option<Holding>,
    before: Option<Capability>,
}

impl Subject {
    /// What `client` asks for.
    pub fn new(config: &Config<'_>, client: u8, ask: Result<Ask, Refused>, layer: &Gatekeeper) -> Self {
        let target = ask.ok().and_then(|ask| {
            let own = matches!(ask.kind, Kind::Attenuate | Kind::Advance | Kind::Order) || ask.to.as_str().is_empty();
            let window = if matches!(ask.kind, Kind::Advance | Kind::Order) { ask.window } else { ask.to_window };
            let client = if own { Some(client) } else { crate::client_number(config, ask.to.as_str()) };
            Some(Holding { client: client?, window })
        });
        let before = target.and_then(|target| layer.capability(target));
        Self { client, ask, target, before }
    }

    /// Whether the command, once done, changes something.
    pub fn changes(&self) -> bool {
        self.ask.is_ok_and(|ask| ask.kind != Kind::Look)
    }

    fn record(&self, config: &Config<'_>, layer: &Gatekeeper, base: Record) -> Record {
        let own = self.ask.ok().map(|ask| Holding { client: self.client, window: ask.window });
        let capability = self.before.or_else(|| layer.capability(self.target?)).or_else(|| layer.capability(own?));
        let record = capability.map_or(base, |capability| of(config, &capability, base));
        Record {
            client: self.client,
            who: name(config, self.client),
            to: self.target.map_or(Name::NONE, |target| name(config, target.client)),
            window: self.ask.map_or(0, |ask| ask.window),
            to_window: self.target.map_or(0, |target| target.window),
            ..record
        }
    }
}

impl Audit {
    /// Records a command that changed something, as the state `state` will have it, or that was refused.
    pub fn command<W: World>(
        &mut self,
        subject: &Subject,
        result: Result<Outcome, Refused>,
        (state, layer): (u64, &Gatekeeper),
        world: &mut W,
    ) {
        let Some(log) = &mut self.log else { return };
        let (config, now) = (world.config(), world.now());
        let record = subject.record(&config, layer, Record { time: now.0, ..Record::default() });
        let kind = subject.ask.ok().map(|ask| ask.kind);
        match (result, subject.ask) {
            (Err(why), ask) => {
                let (extent, rights) = ask.map_or_else(|_| Default::default(), |ask| (ask.extent, ask.rights));
                log.refused(&Record { what: What::Denied(kind, why), extent, rights, ..record }, now);
            }
            (Ok(_), Err(_) | Ok(Ask { kind: Kind::Look, .. })) => {}
            (Ok(done), Ok(ask)) => {
                let record = Record { what: what(ask.kind), count: u64::from(done.affected), state, ..record };
                let _there_is_room = log.changed(&told(&ask, &done, record));
                // Before the change is kept and answered: none is in force of which there is no record.
                self.settle(world);
            }
        }
    }
}

/// The record of what has no extent, as an epoch or a budget, or has another one now.
fn told(ask: &Ask, done: &Outcome, record: Record) -> Record {
    let orion_caps::Budget { in_flight, iops, bytes, .. } = ask.budget;
    let extent = |first, blocks| orion_caps::Extent { first, blocks };
    match ask.kind {
        Kind::Advance => Record { extent: extent(u64::from(done.epoch), 0), ..record },
        Kind::Order => Record { extent: ask.extent, count: 0, ..record },
        Kind::Narrow => {
            let left = if ask.rights == Rights::NONE { record.rights.bits() } else { ask.rights.bits() };
            let rights = Rights::from_bits(record.rights.bits() & left);
            Record { extent: extent(record.extent.first, done.blocks), rights, ..record }
        }
        Kind::Limit => Record { extent: extent(u64::from(iops), bytes), count: u64::from(in_flight), ..record },
        _ => record,
    }
}

const fn what(kind: Kind) -> What {
    match kind {
        Kind::Attenuate => What::Attenuated,
        Kind::Delegate => What::Delegated,
        Kind::Revoke => What::Revoked,
        Kind::Freeze => What::Frozen,
        Kind::Unfreeze => What::Unfrozen,
        Kind::Limit => What::Limited,
        Kind::Narrow => What::Narrowed,
        Kind::Order => What::Ordered,
        Kind::Advance | Kind::Look => What::Advanced,
    }
}

fn name(config: &Config<'_>, client: u8) -> Name {
    Name::new(client_name(config, client))
}

fn volume(config: &Config<'_>, port: u8) -> Name {
    let link = config.links_as(Role::Client).nth(usize::from(port));
    link.map_or(Name::NONE, |(_, link)| Name::new(link.volume.as_str()))
}

/// What a record says of a capability.
fn of(config: &Config<'_>, capability: &Capability, base: Record) -> Record {
    let Capability { extent, rights, line, port, .. } = *capability;
    Record { extent, rights, line, volume: volume(config, port), ..base }
}
