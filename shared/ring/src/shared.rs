// SPDX-License-Identifier: MIT
//! The memory of a connection, as the algorithm of both roles sees it.
//!
//! The roles are generic over [`Shared`], so that the model checker runs exactly the code that ships, over its own
//! memory. Everything shared is an atomic: a peer that writes an entry while it is read makes it nonsense, which is
//! checked like all that a peer says, but never undefined behaviour; and each entry is loaded once.
use crate::{AttachError, CAPACITY_MAX, Wrap, extension, wire};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use orion_region::{Circle, Fixed, Window};

/// The regions of one connection. All of them start zeroed.
#[derive(Debug)]
pub struct Memory {
    /// The server's page: sDDF's storage_info, then our server extension. The server writes it, the client reads it.
    pub info: Window,
    /// The client's page: our client extension. The client writes it, the server reads it. `None`: the peer is a plain
    /// sDDF component.
    pub ext: Option<Window>,
    /// The request queue, writable by both.
    pub requests: Window,
    /// The response queue, writable by both.
    pub responses: Window,
}

/// A 32-bit word that both sides see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Requests taken; the server's.
    RequestHead,
    /// Requests put; the client's.
    RequestTail,
    /// Answers taken; the client's.
    ResponseHead,
    /// Answers put; the server's.
    ResponseTail,
    /// The word at a byte offset of the server's page.
    ServerPage(usize),
    /// The word at a byte offset of the client's page.
    ClientPage(usize),
}

/// Access to the memory of one connection.
pub trait Shared {
    /// Loads a word; 0 where there is none.
    fn load(&self, word: Word, order: Ordering) -> u32;
    /// Stores a word; nothing where there is none.
    fn store(&self, word: Word, value: u32, order: Ordering);
    /// A memory fence.
    fn fence(&self, order: Ordering);
    /// Copies the request of a counter value out of its slot, which is the value modulo the entries that are used.
    fn request(&self, count: u32) -> wire::Request;
    /// Copies a request into the slot of a counter value.
    fn put_request(&self, count: u32, request: wire::Request);
    /// Copies the answer of a counter value out of its slot.
    fn response(&self, count: u32) -> wire::Response;
    /// Copies an answer into the slot of a counter value.
    fn put_response(&self, count: u32, response: wire::Response);
}

/// A connection's mapped regions, found large enough.
#[derive(Debug)]
pub struct Mapped {
    info: Fixed<{ wire::PAGE }>,
    ext: Option<Fixed<{ size_of::<extension::Client>() }>>,
    request_counters: Fixed<{ wire::COUNTERS }>,
    response_counters: Fixed<{ wire::COUNTERS }>,
    requests: Circle<[AtomicU64; 4]>,
    responses: Circle<[AtomicU32; 3]>,
}

impl Mapped {
    /// Checks that the regions hold a connection of `capacity` entries.
    ///
    /// # Errors
    /// What is too small, or that the capacity is out of range.
    pub fn new(memory: Memory, capacity: u16) -> Result<Self, AttachError> {
        if capacity == 0 || capacity > CAPACITY_MAX {
            return Err(AttachError::Capacity(capacity));
        }
        let requests_bytes = wire::request_queue_bytes(capacity);
        let responses_bytes = wire::response_queue_bytes(capacity);
        let Memory { info, ext, requests, responses } = memory;
        check("request queue", &requests, requests_bytes)?;
        check("response queue", &responses, responses_bytes)?;
        let entries = wrap(ext.as_ref()).entries(capacity.into());
        Ok(Self {
            info: fixed("server's page", &info)?,
            ext: ext.as_ref().map(|ext| fixed("client's page", ext)).transpose()?,
            request_counters: fixed("request queue", &requests)?,
            response_counters: fixed("response queue", &responses)?,
            requests: Circle::new(&requests, wire::REQUESTS, entries).ok_or(AttachError::Unaligned)?,
            responses: Circle::new(&responses, wire::RESPONSES, entries).ok_or(AttachError::Unaligned)?,
        })
    }

    /// How many entries are used: two of ours use a power of two.
    pub fn wrap(&self) -> Wrap {
        wrap(self.ext.as_ref())
    }
}

fn wrap<T>(ext: Option<&T>) -> Wrap {
    if ext.is_some() { Wrap::Seamless } else { Wrap::Plain }
}

fn check(region: &'static str, window: &Window, needed: usize) -> Result<(), AttachError> {
    let found = window.len();
    if found < needed {
        return Err(AttachError::TooSmall { region, needed, found });
    }
    Ok(())
}

fn fixed<const N: usize>(region: &'static str, window: &Window) -> Result<Fixed<N>, AttachError> {
    Fixed::new(window).ok_or(AttachError::TooSmall { region, needed: N, found: window.len() })
}

const _: () = assert!(extension::SERVER + size_of::<extension::Server>() <= wire::PAGE);

impl Shared for Mapped {
    #[inline]
    fn load(&self, word: Word, order: Ordering) -> u32 {
        match word {
            Word::RequestHead => self.request_counters.load(wire::HEAD, order),
            Word::RequestTail => self.request_counters.load(wire::TAIL, order),
            Word::ResponseHead => self.response_counters.load(wire::HEAD, order),
            Word::ResponseTail => self.response_counters.load(wire::TAIL, order),
            Word::ServerPage(at) => self.info.load(at, order),
            Word::ClientPage(at) => self.ext.as_ref().map_or(0, |ext| ext.load(at, order)),
        }
    }

    #[inline]
    fn store(&self, word: Word, value: u32, order: Ordering) {
        match word {
            Word::RequestHead => self.request_counters.store(wire::HEAD, value, order),
            Word::RequestTail => self.request_counters.store(wire::TAIL, value, order),
            Word::ResponseHead => self.response_counters.store(wire::HEAD, value, order),
            Word::ResponseTail => self.response_counters.store(wire::TAIL, value, order),
            Word::ServerPage(at) => self.info.store(at, value, order),
            Word::ClientPage(at) => self.ext.iter().for_each(|ext| ext.store(at, value, order)),
        }
    }

    #[inline]
    fn fence(&self, order: Ordering) {
        fence(order);
    }

    #[inline]
    fn request(&self, count: u32) -> wire::Request {
        let [a, b, c, d] = self.requests.at(count);
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        zerocopy::transmute!([load(a), load(b), load(c), load(d)])
    }

    #[inline]
    fn put_request(&self, count: u32, request: wire::Request) {
        let words: [u64; 4] = zerocopy::transmute!(request);
        for (to, word) in self.requests.at(count).iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
    }

    #[inline]
    fn response(&self, count: u32) -> wire::Response {
        let [a, b, c] = self.responses.at(count);
        let [status, count, id] = [a, b, c].map(|word| word.load(Ordering::Relaxed));
        // Little-endian, as both boards are: the count is the lower half of its word.
        let success_count = (count & 0xffff) as u16;
        wire::Response { status, success_count, pad: 0, id }
    }

    #[inline]
    fn put_response(&self, count: u32, response: wire::Response) {
        let words: [u32; 3] = zerocopy::transmute!(response);
        for (to, word) in self.responses.at(count).iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
    }
}
