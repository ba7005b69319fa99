// SPDX-License-Identifier: MIT
//! A PD's figures, and the page on which it shows them to the manager when that asks; beside it what the supervisor asks.
use crate::supervision::Supervised;
use crate::{Channel, ChannelSet, Config, InitError, World};
use orion_metrics::{Figures, Order, Page, Reply, Row, Work, given};
use orion_region::Window;

/// What a PD counts, private to it until the manager asks. Where the system has no manager nobody ever does.
#[derive(Debug)]
pub struct Reporter {
    /// What was counted so far.
    pub figures: Figures,
    page: Option<Page>,
    /// The manager's orders, and our slot there.
    orders: Option<(Window, usize)>,
    /// What was counted when we were told to count from 0.
    base: Figures,
    /// The channels by which the manager and the supervisor ask; no channel where there is neither. Of who watches the
    /// supervisor, the clock's too.
    asks: ChannelSet,
    manager: Option<Channel>,
    supervised: Supervised,
}

impl Reporter {
    /// Shows figures on the page of the configuration (setting `metrics_vaddr`), asked by the channel of the setting
    /// `manager_channel`.
    ///
    /// # Errors
    /// [`InitError`] where the page is not mapped.
    pub fn new<W: World>(world: &mut W) -> Result<Self, InitError> {
        let unmapped = InitError("the page of figures is not mapped: build the image and its configuration together");
        let config = world.config();
        let page = match config.setting("metrics_vaddr") {
            Some(vaddr) => Some(world.window(vaddr).and_then(Page::attach).ok_or(unmapped)?),
            None => None,
        };
        let channel = config.setting("manager_channel").and_then(|c| u8::try_from(c).ok()).filter(|c| *c < 62);
        let manager = channel.map(Channel);
        let supervised = Supervised::new(world)?;
        let mut asks = manager.map_or(supervised.channels(), |channel| supervised.channels().with(channel));
        if config.setting("supervisor_ms").is_some() {
            // Who watches the supervisor is called by the clock too.
            let clock = config.wakes.iter().filter_map(|wake| u8::try_from(wake.channel.get()).ok());
            asks = clock.map(Channel).fold(asks, ChannelSet::with);
        }
        let orders = match config.setting("orders_vaddr") {
            Some(vaddr) => Some((world.window(vaddr).ok_or(unmapped)?, slot(&config))),
            None => None,
        };
        Ok(Self { figures: Figures::EMPTY, page, orders, base: Figures::EMPTY, asks, manager, supervised })
    }

    /// Whether the manager or the supervisor is among those who called. If so: [`answer`](Self::answer).
    #[inline]
    pub fn asked(&self, from: ChannelSet) -> bool {
        from.0 & self.asks.0 != 0
    }

    /// Answers the supervisor; whether the manager asks too. Then [`publish`](Self::publish) is due.
    #[cold]
    #[inline(never)]
    pub fn answer(&self, from: ChannelSet) -> bool {
        self.supervised.answer(from);
        self.manager.is_some_and(|channel| from.contains(channel))
    }

    /// What the supervisor says.
    pub fn supervised(&self) -> &Supervised {
        &self.supervised
    }

    /// Copies the figures and `rows` to the page, and wakes the manager.
    #[cold]
    #[inline(never)]
    pub fn publish<W: World>(&mut self, world: &mut W, rows: impl IntoIterator<Item = Row>) {
        self.figures.set_at(world.now().0);
        self.obey();
        if let Some(page) = &mut self.page {
            page.publish(&self.figures.since(&self.base), rows);
        }
        self.wake(world);
    }

    /// What the manager has told us to do with a disk since we were last asked, and its sequence. To be answered by
    /// [`acknowledge`](Self::acknowledge); a PD that never asks answers at the next [`publish`](Self::publish) that it does not
    /// know such orders.
    pub fn work(&self) -> Option<(u32, Work)> {
        let (sequence, order) = self.new_order()?;
        Some((sequence, order?.work()?))
    }

    /// Answers an order: seen by the manager once it is woken.
    pub fn acknowledge(&mut self, sequence: u32, reply: Reply) {
        if let Some(page) = &mut self.page {
            page.acknowledge(sequence, reply);
        }
    }

    /// The order that was not answered yet; of it nothing more where this version does not know it.
    fn new_order(&self) -> Option<(u32, Option<Order>)> {
        let (page, (orders, slot)) = self.page.as_ref().zip(self.orders.as_ref())?;
        let (sequence, order) = given(orders, *slot);
        (sequence != page.obeyed()).then_some((sequence, order))
    }

    /// Does what the manager has told us since we were last asked.
    fn obey(&mut self) {
        let Some((sequence, order)) = self.new_order() else { return };
        let reply = if order == Some(Order::Reset) { Reply::Done } else { Reply::Unknown };
        if reply == Reply::Done {
            self.base = self.figures;
        }
        self.acknowledge(sequence, reply);
    }

    /// Wakes the manager.
    pub fn wake<W: World>(&self, world: &mut W) {
        if let Some(manager) = self.manager {
            world.notify(manager);
        }
    }
}

/// Our slot on the page of orders; one that is not there where it is not said.
fn slot(config: &Config<'_>) -> usize {
    config.setting("orders_slot").and_then(|slot| usize::try_from(slot).ok()).unwrap_or(usize::MAX >> 8)
}
