// SPDX-License-Identifier: MIT
//! The shipped algorithm of both roles, model-checked over loom's memory: every order of steps, and every value that
//! each load may see.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p orion-ring --test loom`
#![cfg(loom)]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Notify};
use loom::thread;
use orion_block::{Limits, Op};
use orion_ring::extension;
use orion_ring::{Answer, Client, Incoming, Interrupted, Server, ServerInfo, Shared, Submission, Word, Wrap, wire};
use std::mem::offset_of;

const SERVER_AWAKE: usize = extension::SERVER + offset_of!(extension::Server, awake);
const CLIENT_AWAKE: usize = offset_of!(extension::Client, awake);
const SEQUENCE: usize = extension::SERVER + offset_of!(extension::Server, sequence);
const EPOCH: usize = extension::SERVER + offset_of!(extension::Server, epoch);
const CAPACITY: usize = extension::SERVER + offset_of!(extension::Server, capacity);
const MAX_BLOCKS: usize = extension::SERVER + offset_of!(extension::Server, max_blocks);
const SERVED: usize = extension::SERVER + offset_of!(extension::Server, client);
const LIFE: usize = offset_of!(extension::Client, life);
const AGREED: usize = offset_of!(extension::Client, epoch);
const START: usize = offset_of!(extension::Client, start);

/// What is broken on purpose, to see that the models would notice.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Loads of the peer's index aren't Acquire.
    RelaxedLoads,
    /// Stores of the own index aren't Release.
    RelaxedStores,
    /// No fence between an index and a sleeping flag.
    NoFence,
    /// That the client agrees may be seen before where its requests begin.
    AgreesEarly,
}

/// A connection's memory. Entries are cells, so that loom reports any access that is not ordered by the indices.
/// Of the pages' other words nine are modelled; all would be too many orders to try.
struct Model {
    flaw: Flaw,
    indices: [AtomicU32; 4],
    awake: [AtomicU32; 2],
    /// Of the server's page: ready, sequence, epoch, capacity, largest request.
    page: [AtomicU32; 5],
    /// The client's life that the server serves, the client's life, the server's that it has agreed to, and its start.
    lives: [AtomicU32; 4],
    pages: [Vec<std::sync::atomic::AtomicU32>; 2],
    requests: Vec<UnsafeCell<wire::Request>>,
    responses: Vec<UnsafeCell<wire::Response>>,
}

// SAFETY: loom runs one thread at a time, and reports accesses to cells that aren't ordered.
unsafe impl Sync for Model {}

impl Model {
    fn new(capacity: usize, start: u32, flaw: Flaw) -> Arc<Self> {
        Arc::new(Self {
            flaw,
            indices: [0; 4].map(|_| AtomicU32::new(start)),
            awake: [0; 2].map(AtomicU32::new),
            page: [0; 5].map(AtomicU32::new),
            lives: [0; 4].map(AtomicU32::new),
            pages: [0; 2].map(|_| (0..1024).map(|_| 0.into()).collect()),
            requests: (0..capacity).map(|_| UnsafeCell::new(wire::Request::default())).collect(),
            responses: (0..capacity).map(|_| UnsafeCell::new(wire::Response::default())).collect(),
        })
    }

    fn modelled(&self, word: Word) -> Result<&AtomicU32, &std::sync::atomic::AtomicU32> {
        match word {
            Word::RequestHead => Ok(&self.indices[0]),
            Word::RequestTail => Ok(&self.indices[1]),
            Word::ResponseHead => Ok(&self.indices[2]),
            Word::ResponseTail => Ok(&self.indices[3]),
            Word::ServerPage(SERVER_AWAKE) => Ok(&self.awake[0]),
            Word::ClientPage(CLIENT_AWAKE) => Ok(&self.awake[1]),
            Word::ServerPage(wire::READY_WORD) => Ok(&self.page[0]),
            Word::ServerPage(SEQUENCE) => Ok(&self.page[1]),
            Word::ServerPage(EPOCH) => Ok(&self.page[2]),
            Word::ServerPage(CAPACITY) => Ok(&self.page[3]),
            Word::ServerPage(MAX_BLOCKS) => Ok(&self.page[4]),
            Word::ServerPage(SERVED) => Ok(&self.lives[0]),
            Word::ClientPage(LIFE) => Ok(&self.lives[1]),
            Word::ClientPage(AGREED) => Ok(&self.lives[2]),
            Word::ClientPage(START) => Ok(&self.lives[3]),
            Word::ServerPage(at) => Err(&self.pages[0][at / 4]),
            Word::ClientPage(at) => Err(&self.pages[1][at / 4]),
        }
    }
}

#[derive(Clone)]
struct Side(Arc<Model>);

impl Shared for Side {
    fn load(&self, word: Word, order: Ordering) -> u32 {
        let order = if self.0.flaw == Flaw::RelaxedLoads { Ordering::Relaxed } else { order };
        match self.0.modelled(word) {
            Ok(word) => word.load(order),
            Err(word) => word.load(Ordering::SeqCst),
        }
    }

    fn store(&self, word: Word, value: u32, order: Ordering) {
        let early = self.0.flaw == Flaw::AgreesEarly && word == Word::ClientPage(AGREED);
        let order = if self.0.flaw == Flaw::RelaxedStores || early { Ordering::Relaxed } else { order };
        match self.0.modelled(word) {
            Ok(word) => word.store(value, order),
            Err(word) => word.store(value, Ordering::SeqCst),
        }
    }

    fn fence(&self, order: Ordering) {
        if self.0.flaw != Flaw::NoFence {
            fence(order);
        }
    }

    fn request(&self, count: u32) -> wire::Request {
        // SAFETY: loom reports a write at the same time.
        self.0.requests[count as usize % self.0.requests.len()].with(|entry| unsafe { *entry })
    }

    fn put_request(&self, count: u32, request: wire::Request) {
        // SAFETY: loom reports any access at the same time.
        self.0.requests[count as usize % self.0.requests.len()].with_mut(|entry| unsafe { *entry = request });
    }

    fn response(&self, count: u32) -> wire::Response {
        // SAFETY: loom reports a write at the same time.
        self.0.responses[count as usize % self.0.responses.len()].with(|entry| unsafe { *entry })
    }

    fn put_response(&self, count: u32, response: wire::Response) {
        // SAFETY: loom reports any access at the same time.
        self.0.responses[count as usize % self.0.responses.len()].with_mut(|entry| unsafe { *entry = response });
    }
}

fn submission(id: u32) -> Submission {
    Submission { id, op: Op::Write, block: u64::from(id), count: 1, ..Submission::default() }
}

/// Takes one request, if there is one, checks that it is the next one and not torn, and answers it.
fn serve(server: &mut Server<Side>, next: &mut u32) -> bool {
    match server.pop().unwrap() {
        Some(Incoming::Request(request)) => {
            assert_eq!(request, submission(*next));
            *next += 1;
            server.push(Answer { id: request.id, status: Ok(()), blocks: 1 });
            true
        }
        Some(Incoming::Unknown { .. }) => panic!("torn request"),
        None => false,
    }
}

/// Serves until `requests` are answered, asleep where there is nothing to do.
fn server(mut server: Server<Side>, requests: u32, wake_server: &Notify, wake_client: &Notify) {
    let mut next = 0;
    while next < requests {
        server.wake();
        while serve(&mut server, &mut next) {}
        if server.publish() {
            wake_client.notify();
        }
        if next < requests && server.sleep() {
            wake_server.wait();
        }
    }
}

/// Asks for `requests` things, as many at once as there is room for, and takes their answers.
fn client(mut client: Client<Side>, requests: u32, wake_server: &Notify, wake_client: &Notify) {
    let (mut asked, mut answered) = (0, 0);
    while answered < requests {
        client.wake();
        while let Some(answer) = client.pop().unwrap() {
            assert_eq!(answer, Answer { id: answered, status: Ok(()), blocks: 1 });
            answered += 1;
        }
        while asked < requests && client.push(submission(asked)).is_ok() {
            asked += 1;
        }
        if client.publish() {
            wake_server.notify();
        }
        if answered < requests && client.sleep() {
            wake_client.wait();
        }
    }
}

/// Both ends on threads of their own. A lost wake-up shows as a deadlock, a torn or overwritten entry as a race.
fn exchange(capacity: u16, start: u32, requests: u32, flaw: Flaw, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let memory = Model::new(usize::from(capacity), start, flaw);
        let mut serving = Server::over(Side(memory.clone()), capacity, Wrap::Seamless);
        serving.announce(&info(1));
        let mut asking = Client::over(Side(memory), capacity, Wrap::Seamless);
        introduce(&mut asking, &mut serving);
        let (wake_server, wake_client) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let theirs = (wake_server.clone(), wake_client.clone());
        let peer = thread::spawn(move || server(serving, requests, &theirs.0, &theirs.1));
        client(asking, requests, &wake_server, &wake_client);
        peer.join().unwrap();
    });
}

fn introduce(client: &mut Client<Side>, server: &mut Server<Side>) {
    assert!(client.server().is_none() && client.publish() && !server.sleep() && server.publish());
    assert!(client.server().is_some() && server.sleep());
}

fn info(number: u32) -> ServerInfo {
    let limits = Limits { atomic_blocks: 1, capacity: u64::from(number), max_blocks: number, ..Limits::default() };
    ServerInfo { limits, ..ServerInfo::default() }
}

/// The page is written again, by an announcement or by the start of a new server, while the client reads it.
fn pages(flaw: Flaw, restart: bool) {
    loom::model(move || {
        let memory = Model::new(1, 0, flaw);
        let over = |memory: &Arc<Model>| Server::over(Side(memory.clone()), 1, Wrap::Seamless);
        let mut server = over(&memory);
        server.announce(&info(1));
        let mut client = Client::over(Side(memory.clone()), 1, Wrap::Seamless);
        introduce(&mut client, &mut server);
        let peer = thread::spawn(move || {
            if restart {
                server = over(&memory);
            }
            server.announce(&info(2));
            server
        });
        if let Some(info) = client.server() {
            assert_eq!(info.limits.capacity, u64::from(info.limits.max_blocks), "torn page");
            assert!(info.limits.capacity == 1 || !restart, "of a life that was not agreed to");
        }
        let mut server = peer.join().unwrap();
        if restart {
            client.server();
            client.publish();
            server.sleep();
        }
        assert_eq!(client.server().map(|info| info.limits.capacity), Some(2));
    });
}

/// The server dies with a request in its hands, or before it has looked, and begins again while the client asks.
fn rebirth(flaw: Flaw, dies_with_it: bool) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let memory = Model::new(1, 0, flaw);
        let over = |memory: &Arc<Model>| Server::over(Side(memory.clone()), 1, Wrap::Seamless);
        let mut serving = over(&memory);
        serving.announce(&info(1));
        let mut asking = Client::over(Side(memory.clone()), 1, Wrap::Seamless);
        introduce(&mut asking, &mut serving);
        let (wake_server, wake_client) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let theirs = (wake_server.clone(), wake_client.clone());
        let peer = thread::spawn(move || {
            if dies_with_it {
                let _ = serving.pop();
            }
            let mut serving = over(&memory);
            serving.announce(&info(2));
            theirs.1.notify();
            serve_one(&mut serving, &theirs.0, &theirs.1);
        });
        ask_one(&mut asking, &wake_server, &wake_client);
        peer.join().unwrap();
    });
}

fn serve_one(server: &mut Server<Side>, wake_server: &Notify, wake_client: &Notify) {
    let mut next = 0;
    while next == 0 {
        server.wake();
        serve(server, &mut next);
        if server.publish() {
            wake_client.notify();
        }
        if next == 0 && server.sleep() {
            wake_server.wait();
        }
    }
}

fn ask_one(client: &mut Client<Side>, wake_server: &Notify, wake_client: &Notify) {
    let (mut asked, mut answered) = (false, false);
    while !answered {
        client.wake();
        match client.pop() {
            Ok(answer) => answered = answer.is_some(),
            Err(Interrupted::Restarted) => asked = false,
            Err(misbehaved) => panic!("{misbehaved}"),
        }
        if !asked {
            asked = client.push(submission(0)).is_ok();
        }
        if client.publish() {
            wake_server.notify();
        }
        if !answered && client.sleep() {
            wake_client.wait();
        }
    }
}

#[test]
fn a_server_that_begins_again_is_asked_again() {
    rebirth(Flaw::None, false);
    rebirth(Flaw::None, true);
}

#[test]
#[should_panic(expected = "begin outside the ring")]
fn an_agreement_before_its_start_is_noticed() {
    rebirth(Flaw::AgreesEarly, false);
}

#[test]
fn a_page_is_read_whole() {
    pages(Flaw::None, false);
}

#[test]
fn a_page_is_read_whole_while_the_server_restarts() {
    pages(Flaw::None, true);
}

#[test]
#[should_panic(expected = "torn page")]
fn a_torn_page_is_noticed() {
    pages(Flaw::NoFence, false);
}

#[test]
fn one_request_in_every_order() {
    exchange(1, 0, 1, Flaw::None, None);
}

#[test]
fn one_at_a_time() {
    exchange(1, 0, 2, Flaw::None, Some(3));
}

#[test]
fn several_at_once_across_the_wrap() {
    exchange(2, u32::MAX - 1, 3, Flaw::None, Some(2));
}

#[test]
fn a_capacity_that_is_no_power_of_two() {
    exchange(3, u32::MAX - 2, 3, Flaw::None, Some(3));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_loads_are_noticed() {
    exchange(1, 0, 2, Flaw::RelaxedLoads, Some(2));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_stores_are_noticed() {
    exchange(1, 0, 2, Flaw::RelaxedStores, Some(2));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_missing_fence_is_noticed() {
    exchange(1, 0, 1, Flaw::NoFence, Some(3));
}
