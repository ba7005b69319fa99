// SPDX-License-Identifier: MIT
//! What the manager knows and can do, whoever asks.
use heapless::Vec;
use orion_caps::{Outcome, Rights};
use orion_control::operator::{Begin, Pd, Ring, State};
use orion_control::{Ask, Client, End, Kind, Name, Refused};
use orion_metrics::{Figures, Order, Reply, Row, Work, acknowledged, copies, give, read, read_row};
use orion_pd::config::{self, Config, NONE, Watch};
use orion_pd::supervision::Supervised;
use orion_pd::{Channel, ChannelSet, InitError, Instant, World};
use orion_region::Window;

/// PDs that are watched: each but the clock takes a channel.
pub const PDS_MAX: usize = 63;
/// Nanoseconds that PDs have for writing their figures.
const PATIENCE: u64 = 200_000_000;
/// Nanoseconds that the gatekeeper has for a command.
pub const COMMAND_PATIENCE: u64 = 2_000_000_000;
/// Nanoseconds after which the clock's figures, which it writes on its own, are old.
const CLOCK_OLD: u64 = 5_000_000_000;
/// The PD that holds all capabilities.
const GATEKEEPER: &str = "gatekeeper";

const UNMAPPED: InitError =
    InitError("a page of figures or of control is not mapped: build the image and its configuration together");

const ONLY_LOOKS: &str =
    "the manager may only look at figures; give it the right in system.xml: <orion:manager rights=\"admin\"/>";

/// An order that a PD was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    index: usize,
    sequence: u32,
}

/// Something for a disk that the gatekeeper is asked about: by which number it answers, and which PD is to do what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    number: u32,
    index: usize,
    work: Work,
}

impl Permit {
    /// The number of the gatekeeper's answer.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// A PD whose figures are seen.
#[derive(Debug)]
struct Watched {
    record: &'static Watch,
    page: Window,
    channel: Option<Channel>,
    /// How often its page had been written when it was asked.
    before: u32,
}

impl Watched {
    fn answered(&self) -> bool {
        self.channel.is_none() || copies(&self.page) != self.before
    }
}

/// What the manager knows and can do.
#[derive(Debug)]
pub struct Core {
    config: Config<'static>,
    watched: Vec<Watched, PDS_MAX>,
    /// Where orders are written, a slot for each PD that is watched.
    orders: Window,
    gatekeeper: Client,
    channel: Channel,
    rights: Rights,
    /// Until when answers of all PDs are waited for.
    round: Option<Instant>,
    supervised: Supervised,
}

impl Core {
    /// From the PD's configuration.
    ///
    /// # Errors
    /// [`InitError`] where something of it is not mapped.
    pub fn new<W: World>(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let control = config.controls.first().ok_or(UNMAPPED)?;
        let own = world.window(control.own.get()).ok_or(UNMAPPED)?;
        let peer = world.window(control.peer.get()).ok_or(UNMAPPED)?;
        let mut watched = Vec::new();
        for record in config.watches {
            let page = world.window(record.vaddr.get()).ok_or(UNMAPPED)?;
            let channel = (record.channel.get() != NONE).then(|| channel(record.channel.get())).transpose()?;
            let one = Watched { record, before: copies(&page), page, channel };
            watched.push(one).map_err(|_| InitError("more PDs than Microkit has: build the configuration again"))?;
        }
        let orders = config.setting("orders_vaddr").and_then(|vaddr| world.window(vaddr)).ok_or(UNMAPPED)?;
        let rights = config.setting("rights").and_then(|bits| u16::try_from(bits).ok()).unwrap_or(0);
        Ok(Self {
            config,
            watched,
            orders,
            gatekeeper: Client::new(End::attach(own, peer).ok_or(UNMAPPED)?),
            channel: channel(control.channel.get())?,
            rights: Rights::from_bits(rights),
            round: None,
            supervised: Supervised::new(world)?,
        })
    }

    /// Answers the supervisor, if it is among those who called.
    pub fn called(&self, from: ChannelSet) {
        self.supervised.answer(from);
    }

    /// Until when it is waited for figures; `None` where none were asked for.
    pub fn gathering(&self) -> Option<Instant> {
        self.round
    }

    /// Asks every PD for its figures. [`gathered`](Self::gathered) says when they are there.
    pub fn gather<W: World>(&mut self, world: &mut W) {
        self.round = Some(world.now().after(PATIENCE));
        for one in &mut self.watched {
            one.before = copies(&one.page);
            if let Some(channel) = one.channel {
                world.notify(channel);
            }
        }
    }

    /// Whether all that were asked have answered, or had their time. Said once.
    pub fn gathered(&mut self, now: Instant) -> bool {
        let over = self.round.is_some_and(|until| now >= until || self.watched.iter().all(Watched::answered));
        if over {
            self.round = None;
        }
        over
    }

    /// The first frame of the state.
    pub fn begin(&self, now: Instant) -> Begin {
        let number = self.rings().filter(|ring| ring.server.as_str() == GATEKEEPER).count();
        Begin {
            now: now.0.into(),
            rights: self.rights.bits().into(),
            number: u16::try_from(number).unwrap_or(u16::MAX).into(),
            pad: 0.into(),
        }
    }

    /// The PD of this index, with what it wrote; `None` where there are no more.
    pub fn pd(&self, index: usize, now: Instant) -> Option<Pd> {
        let one = self.watched.get(index)?;
        let (state, figures) = match read(&one.page) {
            Ok((_, figures, _)) => {
                let old = one.channel.is_none() && now.0.saturating_sub(figures.at()) > CLOCK_OLD;
                (if one.answered() && !old { State::Well } else { State::Silent }, figures)
            }
            Err(orion_metrics::Unreadable::Silent) => (State::Silent, Figures::EMPTY),
            Err(_) => (State::Unreadable, Figures::EMPTY),
        };
        Some(Pd {
            name: Name::new(one.record.pd.as_str()),
            program: Name::new(one.record.program.as_str()),
            priority: one.record.priority.get().into(),
            state: state.number(),
            pad: 0.into(),
            figures,
        })
    }

    fn rings(&self) -> impl Iterator<Item = &'static config::Ring> + use<> {
        self.config.rings.iter()
    }

    /// The ring of this index; `None` where there are no more.
    pub fn ring(&self, index: usize) -> Option<Ring> {
        let ring = self.config.rings.get(index)?;
        let name = |name: &config::Name| Name::new(name.as_str());
        Some(Ring {
            client: name(&ring.client),
            server: name(&ring.server),
            volume: name(&ring.volume),
            disk: name(&ring.disk),
            entries: ring.entries.get().into(),
        })
    }

    /// How many rows the gatekeeper wrote.
    pub fn rows(&self) -> usize {
        self.holdings().and_then(|page| read(page).ok()).map_or(0, |(_, _, rows)| rows)
    }

    /// The gatekeeper's row of this index; `None` where it makes no sense.
    pub fn row(&self, index: usize) -> Option<Row> {
        read_row(self.holdings()?, index).ok()?.1
    }

    /// How many rows the PD of this index wrote; `None` where there are no more PDs.
    pub fn rows_of(&self, pd: usize) -> Option<usize> {
        let one = self.watched.get(pd)?;
        Some(read(&one.page).map_or(0, |(_, _, rows)| rows))
    }

    /// A row of the PD of this index that is about a disk; `None` where it is not.
    pub fn disk_row(&self, pd: usize, row: usize) -> Option<(&'static str, Row)> {
        let one = self.watched.get(pd)?;
        let row = read_row(&one.page, row).ok()?.1?;
        row.unit().map(|_| (one.record.pd.as_str(), row))
    }

    fn holdings(&self) -> Option<&Window> {
        self.watched.iter().find(|one| one.record.pd.as_str() == GATEKEEPER).map(|one| &one.page)
    }

    /// The name of the gatekeeper's client of this number.
    pub fn client_name(&self, number: u8) -> &'static str {
        let clients = self.rings().filter(|ring| ring.server.as_str() == GATEKEEPER);
        let mut names = clients.map(|ring| ring.client.as_str()).chain(["manager"]);
        names.nth(usize::from(number)).unwrap_or("?")
    }

    /// The name of the gatekeeper's volume of this number.
    pub fn volume_name(&self, port: u8) -> &'static str {
        self.volumes().nth(usize::from(port)).map_or("?", |ring| ring.volume.as_str())
    }

    fn volumes(&self) -> impl Iterator<Item = &'static config::Ring> + use<> {
        self.rings().filter(|ring| ring.client.as_str() == GATEKEEPER)
    }

    /// The manager's window on a volume, by any of its names.
    pub fn window_on(&self, volume: &str) -> Option<u8> {
        let named = |ring: &config::Ring| [&ring.volume, &ring.disk].iter().any(|name| name.as_str() == volume);
        self.volumes().position(named).and_then(|at| u8::try_from(at).ok())
    }

    /// Why the manager cannot do this, as far as it knows itself: the gatekeeper has the last word.
    fn unable(&self, kind: Kind) -> Option<&'static str> {
        let (needed, why) = match kind {
            Kind::Delegate | Kind::Attenuate => (
                Rights::DERIVE,
                "the manager may not pass rights on; give it some in system.xml, as in <orion:manager rights=\"admin derive read\"/>",
            ),
            Kind::Look if self.rights.contains(Rights::OBSERVE) => return None,
            _ => (Rights::ADMIN, ONLY_LOOKS),
        };
        (!self.rights.contains(needed)).then_some(why)
    }

    /// Sends a command to the gatekeeper: the number that its answer will carry.
    ///
    /// # Errors
    /// Why it was not sent.
    pub fn command<W: World>(&mut self, ask: &Ask, world: &mut W) -> Result<u32, &'static str> {
        if let Some(why) = self.unable(ask.kind) {
            return Err(why);
        }
        let number = self.gatekeeper.ask(ask).ok_or("the gatekeeper has too many commands to do; try again")?;
        world.notify(self.channel);
        Ok(number)
    }

    /// Tells a PD to do something: which answer to look for with [`obeyed`](Self::obeyed).
    ///
    /// # Errors
    /// Why it was not told.
    pub fn order<W: World>(&mut self, pd: &str, order: Order, world: &mut W) -> Result<Told, &'static str> {
        if !self.rights.contains(Rights::ADMIN) {
            return Err(ONLY_LOOKS);
        }
        let found = self.watched.iter().position(|one| one.record.pd.as_str() == pd);
        let index = found.ok_or("there is no protection domain of that name; `status` shows them")?;
        self.tell(index, order, world)
    }

    fn tell<W: World>(&mut self, index: usize, order: Order, world: &mut W) -> Result<Told, &'static str> {
        let channel = self.watched.get(index).and_then(|one| one.channel);
        let channel = channel.ok_or("the clock is never called, and so can't be told anything")?;
        let sequence = give(&self.orders, index, order);
        world.notify(channel);
        Ok(Told { index, sequence })
    }

    /// Asks the gatekeeper whether something may be done with a disk: it holds the right to `admin`, and records what it allows.
    ///
    /// # Errors
    /// Why it was not asked.
    pub fn permit<W: World>(&mut self, disk: &str, work: Work, world: &mut W) -> Result<Permit, &'static str> {
        if !self.rights.contains(Rights::ADMIN) {
            return Err(ONLY_LOOKS);
        }
        let places =
            self.config.settings.iter().filter_map(|one| one.key.as_str().strip_prefix("disk ").zip(Some(one)));
        let place = places.clone().find(|(name, _)| *name == disk).map(|(_, one)| one.value.get());
        let place = place
            .ok_or("there is no disk or array of that name with a driver or a layer of Orion's; `health` shows them")?;
        // The driver's slot, the disk's place behind it, the manager's window on a volume that lies on it.
        let [slot, unit, window, ..] = place.to_le_bytes();
        let extent = orion_caps::Extent { first: work.verb.number().into(), blocks: work.first };
        let ask = Ask { window, extent, ..Ask::on(Kind::Order, "", 0) };
        let number = self.command(&ask, world)?;
        Ok(Permit { number, index: slot.into(), work: Work { unit, ..work } })
    }

    /// The port of the device `device` below the layer of the array that the volume is.
    pub fn port_of(&self, volume: &str, device: &str) -> Option<u8> {
        let own = |ring: &&config::Ring| ring.client.as_str().strip_prefix("raid_") == Some(volume);
        let at = self.rings().filter(own).position(|ring| ring.disk.as_str() == device)?;
        u8::try_from(at).ok()
    }

    /// Tells the driver what the gatekeeper has allowed.
    ///
    /// # Errors
    /// Why it was not told.
    pub fn permitted<W: World>(&mut self, permit: Permit, world: &mut W) -> Result<Told, &'static str> {
        self.tell(permit.index, Order::Disk(permit.work), world)
    }

    /// What a PD answered to what it was told; `None` while it has not.
    pub fn obeyed(&self, told: Told) -> Option<Reply> {
        acknowledged(&self.watched.get(told.index)?.page, told.sequence)
    }

    /// The gatekeeper's next answer.
    pub fn answer(&mut self) -> Option<(u32, Result<Outcome, Refused>)> {
        self.gatekeeper.answer()
    }
}

fn channel(number: u16) -> Result<Channel, InitError> {
    let number = u8::try_from(number).ok().filter(|n| *n < 62);
    number.map(Channel).ok_or(InitError("a channel number above 61: build the image again"))
}
