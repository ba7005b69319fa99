// SPDX-License-Identifier: MIT
//! Shares and budgets, in virtual time, over a device that serves one request after the other.
use super::*;
use crate::Command;

struct Client {
    depth: usize,
    in_flight: usize,
    blocks: u32,
    window: u64,
    /// When each of its requests was answered.
    ended: Vec<u64>,
}

struct Clients(Vec<Client>, u64);
impl Uppers for Clients {
    fn count(&self) -> u8 {
        self.0.len() as u8
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        let client = self.0.get_mut(usize::from(upper)).filter(|c| c.in_flight < c.depth)?;
        client.in_flight += 1;
        Some(Submission { tag: 0, req: req(Op::Read, client.window << WINDOW_SHIFT, client.blocks) })
    }
    fn complete(&mut self, upper: u8, _: u32, done: Completion) {
        assert_eq!(done.status, Ok(()));
        self.0[usize::from(upper)].in_flight -= 1;
        self.0[usize::from(upper)].ended.push(self.1);
    }
}

/// A device that takes `service` nanoseconds for each request.
struct Device {
    capacity: u16,
    service: u64,
    now: u64,
    free_at: u64,
    queue: VecDeque<(u64, u32, u32)>,
}
impl Lowers for Device {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        self.capacity
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        Some(volume(BlockSize::B4096, 1 << 20))
    }
    fn submit(&mut self, _: u8, s: Submission) {
        self.free_at = self.free_at.max(self.now) + self.service;
        self.queue.push_back((self.free_at, s.tag, s.req.blocks));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        let ended = self.queue.front().is_some_and(|(at, ..)| *at <= self.now);
        Ok(ended.then(|| self.queue.pop_front().unwrap()).map(|(_, tag, blocks)| (0, tag, Completion::ok(blocks))))
    }
}

struct Run {
    node: Box<Node<Gatekeeper, 256>>,
    clients: Clients,
    device: Device,
}
use std::boxed::Box;

impl Run {
    fn new(grants: &[Capability], clients: &[(usize, u32)], capacity: u16, service: u64) -> Self {
        let mut layer = Gatekeeper::new();
        grants.iter().for_each(|g| layer.grant(*g).unwrap());
        let client = |&(depth, blocks)| Client { depth, in_flight: 0, blocks, window: 0, ended: Vec::new() };
        Self {
            node: Box::new(Node::new(layer, 0)),
            clients: Clients(clients.iter().map(client).collect(), 0),
            device: Device { capacity, service, now: 0, free_at: 0, queue: VecDeque::new() },
        }
    }

    fn until(&mut self, end: u64) {
        loop {
            self.clients.1 = self.device.now;
            let now = Instant(self.device.now);
            let (uppers, lowers) = (&mut self.clients, &mut self.device);
            let mut around = Around { uppers, lowers, payload: &mut NoPayload, now };
            let progress = self.node.run(&mut around);
            if self.node.layer().has_lanes() {
                self.node.control(&mut around, |layer, io| layer.give_places(io));
            }
            if progress.moved {
                continue;
            }
            let ends = self.device.queue.front().map(|(at, ..)| *at);
            let next = ends.into_iter().chain(self.node.deadline().map(|d| d.0)).min();
            match next.filter(|at| *at < end) {
                Some(at) => self.device.now = at.max(self.device.now + 1),
                None => return self.device.now = end,
            }
        }
    }
}

/// What part of the device the second of two clients gets, at weights of 1 and `weight`, of a device that serves one
/// request after the other and takes 256 at once, but is given only `places`.
fn part_of_second(places: u16, depths: [usize; 2], weight: u16) -> f64 {
    let grants = [granted(0, 1, Budget::NONE), granted(1, weight, Budget::NONE)];
    let mut run = Run::new(&grants, &[(depths[0], 1), (depths[1], 1)], 256, 10_000);
    assert!(run.node.layer_mut().narrow(0, 0, places, 0));
    run.until(200_000_000);
    let [a, b] = [0, 1].map(|c: usize| run.clients.0[c].ended.len() as f64);
    assert!(a + b >= 19_900.0, "the device was kept busy: {}", a + b);
    b / (a + b)
}

#[test]
fn where_places_are_few_weights_hold_whatever_each_client_keeps_asked() {
    // One place: whoever asks again when it is answered. More: whoever keeps so many asked.
    for (places, depths) in [
        (1, [1, 1]),
        (1, [1, 256]),
        (1, [256, 1]),
        (1, [256, 256]),
        (2, [2, 256]),
        (4, [4, 4]),
        (4, [256, 4]),
        (16, [64, 256]),
    ] {
        let share = part_of_second(places, depths, 3);
        assert!((share / 0.75 - 1.0).abs() < 0.05, "{share} at {places} places and depths {depths:?}");
        let share = part_of_second(places, depths, 1);
        assert!((share / 0.5 - 1.0).abs() < 0.05, "{share} at {places} places and depths {depths:?}, alike");
    }
}

/// Who keeps one request asked beside one who floods its ring waits for no more than what has a place already.
#[test]
fn a_flood_costs_who_asks_little_no_more_than_the_places() {
    for places in [1, 2, 4, 16] {
        let share = part_of_second(places, [256, 1], 1);
        assert!(share >= 0.99 / f64::from(places + 1), "{share} at {places} places");
    }
}

fn granted(client: u8, weight: u16, budget: Budget) -> Capability {
    Capability { client, weight, budget, ..capability(0, 0, 1 << 20, 255) }
}

#[test]
fn weights_of_one_to_three_give_shares_of_one_to_three() {
    // Of a device that takes one request at a time, and of one that takes 256: clients that ask for one at a time, and
    // for 256; small requests, and large ones beside small ones.
    for (device, depth, blocks) in
        [(1, 1, [1, 1]), (1, 256, [1, 1]), (256, 256, [1, 1]), (1, 256, [64, 64]), (4, 256, [1, 1])]
    {
        let grants = [granted(0, 1, Budget::NONE), granted(1, 3, Budget::NONE)];
        let mut run = Run::new(&grants, &[(depth, blocks[0]), (depth, blocks[1])], device, 10_000);
        run.until(400_000_000);
        let [a, b] = [0, 1].map(|c: usize| run.clients.0[c].ended.len() as f64);
        let share = b / (a + b);
        assert!((share / 0.75 - 1.0).abs() < 0.05, "{share} of {} at {device}, {depth}, {blocks:?}", a + b);
        assert!(a + b >= 39_000.0, "the device was kept busy: {}", a + b);
    }
}

#[test]
fn large_requests_take_no_larger_share_of_the_bytes() {
    let grants = [granted(0, 1, Budget::NONE), granted(1, 1, Budget::NONE)];
    let mut run = Run::new(&grants, &[(64, 8), (64, 128)], 1, 1000);
    run.until(100_000_000);
    let [small, large] = [(0, 8), (1, 128)].map(|(c, blocks): (usize, usize)| run.clients.0[c].ended.len() * blocks);
    let share = large as f64 / (large + small) as f64;
    assert!((0.45..0.7).contains(&share), "{share} of the bytes");
}

/// Most and fewest of `ended` in any second of the run after its first one.
fn in_any_second(ended: &[u64], end: u64) -> (usize, usize) {
    let second = 1_000_000_000;
    let within = |from: u64| ended.iter().filter(|at| (from..from + second).contains(*at)).count();
    let starts = (0..).map(|n| second + n * 7_000_001).take_while(|from| from + second <= end);
    let counts: Vec<usize> = starts.chain([0]).map(within).collect();
    let (first, rest) = counts.split_last().unwrap();
    (*rest.iter().max().unwrap().max(first), *rest.iter().min().unwrap())
}

#[test]
fn a_client_at_its_budget_stays_within_two_percent_of_it_over_any_second() {
    for (iops, bytes, blocks, want) in
        [(2000, 0, 1, 2000), (500, 0, 16, 500), (0, 8_192_000, 1, 2000), (1000, 1 << 40, 4, 1000)]
    {
        let budget = Budget { iops, bytes, ..Budget::NONE };
        let grants = [granted(0, 1, budget), granted(1, 1, Budget::NONE)];
        let mut run = Run::new(&grants, &[(32, blocks), (32, 1)], 64, 10_000);
        let end = 4_000_000_000;
        run.until(end);
        let (most, fewest) = in_any_second(&run.clients.0[0].ended, end);
        let (above, below) = (most as f64 / want as f64, fewest as f64 / want as f64);
        assert!(above <= 1.02 && below >= 0.98, "{iops}, {bytes}: {fewest} to {most} in a second, not {want}");
        assert!(run.clients.0[1].ended.len() > 300_000, "and takes nothing from others");
    }
}

#[test]
fn what_is_derived_spends_the_budget_of_what_it_came_from() {
    let grants = [granted(0, 1, Budget { iops: 1000, in_flight: 8, ..Budget::NONE }), granted(1, 1, Budget::NONE)];
    let mut run = Run::new(&grants, &[(32, 1), (32, 1), (32, 1)], 64, 10_000);
    run.clients.0[2].window = 3;
    run.clients.0[2].depth = 0;
    run.until(1);
    let wish = Derivation {
        from: 0,
        to: Holding { client: 2, window: 3 },
        extent: Extent { first: 0, blocks: 8 },
        rights: Rights::READ,
        ..Derivation::default()
    };
    let (uppers, lowers, now) = (&mut run.clients, &mut run.device, Instant(1));
    let mut around = Around { uppers, lowers, payload: &mut NoPayload, now };
    run.node.control(&mut around, |layer, io| layer.command(0, &Command::Derive(wish), io)).unwrap().unwrap();
    run.clients.0[2].depth = 32;
    run.until(3_000_000_000);
    let [a, c] = [0, 2].map(|n: usize| run.clients.0[n].ended.len());
    assert!((2950..=3060).contains(&(a + c)) && a > 0 && c > 0, "{a} and {c} in three seconds at 1000");
}

/// A budget that is changed while requests are in flight holds from then on, and what it was before is forgotten.
#[test]
fn a_budget_that_is_changed_under_load_holds_from_then_on() {
    let admin = Capability { window: 1, ..granted(2, 1, Budget::NONE) };
    let plain = |client| Capability { rights: Rights::READ, ..granted(client, 1, Budget::NONE) };
    let grants = [plain(0), plain(1), admin];
    let mut run = Run::new(&grants, &[(32, 1), (32, 1)], 64, 10_000);
    let limit = |run: &mut Run, by, budget| -> Result<Outcome, Denial> {
        let now = Instant(run.device.now);
        let (uppers, lowers) = (&mut run.clients, &mut run.device);
        let mut around = Around { uppers, lowers, payload: &mut NoPayload, now };
        let command = Command::Limit(Holding { client: 0, window: 0 }, budget);
        run.node.control(&mut around, |layer, io| layer.command(by, &command, io)).unwrap()
    };
    run.until(10_000_000);
    let one = Budget { in_flight: 1, ..Budget::NONE };
    // Its own holder may not, nor one who has no `admin`.
    [0, 1].into_iter().for_each(|by| assert_eq!(limit(&mut run, by, one), Err(Denial::NotYours)));
    for budget in [one, Budget { in_flight: 5, ..Budget::NONE }, Budget::NONE, one] {
        limit(&mut run, 2, budget).unwrap();
        // What was in flight before has ended.
        let settled = run.device.now + 5_000_000;
        run.until(settled);
        let held = run.node.layer().listed().next().unwrap();
        assert_eq!(held.granted.budget, budget);
        let most = if budget.in_flight == 0 { 32 } else { budget.in_flight as usize };
        let at_device = run.clients.0[0].in_flight - usize::from(held.waiting);
        assert!(at_device <= most && at_device > 0, "{at_device} at the device, not {most}");
    }
    limit(&mut run, 2, Budget { iops: 1000, ..Budget::NONE }).unwrap();
    let start = run.device.now;
    run.until(start + 2_000_000_000);
    let ended = run.clients.0[0].ended.iter().filter(|at| **at >= start).count();
    assert!((1980..=2040).contains(&ended), "{ended} in two seconds at 1000");
}
