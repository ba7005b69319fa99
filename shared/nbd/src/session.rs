// SPDX-License-Identifier: MIT
//! One connection from greeting to disconnect ("Protocol phases").
use crate::command::{Command, Refusal, Request, Terms, check};
use crate::export::{Export, MAX_PAYLOAD};
use crate::haggle::{Agreed, Haggle, MAX_OPTION, Next, Output};
use crate::reply::Head;
use crate::wire::{Greeting, INIT_MAGIC, OPTION_MAGIC, OptionHead, REQUEST_MAGIC, RequestHead, cmd, handshake};
use zerocopy::byteorder::big_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

/// Longest option whose data is skipped to reach the next one; whoever sends more is disconnected.
const MAX_SKIPPED_OPTION: u32 = 64 << 10;
const HANDSHAKE_FLAGS: u16 = handshake::FIXED_NEWSTYLE | handshake::NO_ZEROES;

/// What the session needs next from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Bytes for [`Session::feed`]: it will use this many at least, and more if there are more.
    Bytes(usize),
    /// The next bytes are the payload of the write that [`Session::feed`] returned last: up to this many may be put
    /// where they belong and reported to [`Session::received`].
    Payload(u32),
    /// Nothing until [`Session::output`] has been sent.
    Output,
    /// Nothing any more: the connection is to be closed once every reply has been sent.
    Close,
}

/// What a piece of the stream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet.
    None,
    /// A request. Of a write, the payload comes next.
    Request(Request),
    /// A request that must be answered with an error. The session drops the payload itself.
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for the client's flags.
    Flags,
    /// Waits for an option's head.
    Option,
    /// Waits for an option's data.
    Data { option: u32, len: usize },
    /// Drops an option's data, then answers it.
    SkipOption { option: u32, left: u32 },
    /// Waits for a request's head.
    Request,
    /// The caller receives a payload.
    Payload { left: u32 },
    /// Drops a payload.
    SkipPayload { left: u32 },
    /// Over.
    Closed,
}

/// The server's side of one connection.
#[derive(Clone, Debug)]
pub struct Session {
    state: State,
    agreed: Agreed,
    gathered: [u8; MAX_OPTION],
    have: usize,
    out: Output,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session whose greeting waits to be sent.
    pub fn new() -> Self {
        let mut out = Output::new();
        let greeting = Greeting { init: INIT_MAGIC.into(), option: OPTION_MAGIC.into(), flags: HANDSHAKE_FLAGS.into() };
        out.put(greeting.as_bytes());
        Self { state: State::Flags, agreed: Agreed::default(), gathered: [0; MAX_OPTION], have: 0, out }
    }

    /// Bytes of the handshake that wait to be sent, before any reply of the transmission phase. At most 512.
    pub fn output(&self) -> &[u8] {
        self.out.pending()
    }

    /// The first `n` bytes of [`output`](Self::output) were sent.
    pub fn sent(&mut self, n: usize) {
        self.out.sent(n);
    }

    /// Whether the handshake is over and requests may come.
    pub const fn transmitting(&self) -> bool {
        matches!(self.state, State::Request | State::Payload { .. } | State::SkipPayload { .. })
    }

    /// Whether reads and block status requests are answered by structured replies.
    pub const fn structured(&self) -> bool {
        self.agreed.structured
    }

    /// What to receive next.
    pub fn want(&self) -> Want {
        // A client must wait for an option's reply; one that does not is not heard, so replies never pile up.
        if self.state != State::Closed && !self.transmitting() && !self.output().is_empty() {
            return Want::Output;
        }
        match self.state {
            State::Payload { left } => Want::Payload(left),
            State::SkipOption { left, .. } | State::SkipPayload { left } => Want::Bytes(left as usize),
            State::Closed => Want::Close,
            _ => Want::Bytes(self.needed().saturating_sub(self.have)),
        }
    }

    /// Takes bytes from the stream, up to the end of one option or request; returns how many were used and what came
    /// of it. Uses none where [`want`](Self::want) does not ask for bytes.
    pub fn feed(&mut self, bytes: &[u8], export: &Export<'_>) -> (usize, Event) {
        let Want::Bytes(wanted) = self.want() else {
            return (0, Event::None);
        };
        let (bytes, _) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
        match self.state {
            State::SkipOption { option, left } => self.skip_option(option, left, bytes.len(), export),
            State::SkipPayload { left } => self.state = skipping(left, bytes.len()),
            _ => return (bytes.len(), self.gather(bytes, export)),
        }
        (bytes.len(), Event::None)
    }

    /// The next `n` bytes of the payload were received.
    pub fn received(&mut self, n: u32) {
        if let State::Payload { left } = self.state {
            let left = left.saturating_sub(n);
            self.state = if left == 0 { State::Request } else { State::Payload { left } };
        }
    }

    /// Drops the rest of the payload: [`want`](Self::want) asks for it as bytes.
    pub fn drop_payload(&mut self) {
        if let State::Payload { left } = self.state {
            self.state = State::SkipPayload { left };
        }
    }

    /// The whole answer to a request that failed.
    pub fn refuse(&self, refusal: Refusal) -> Head {
        if refusal.structured && self.agreed.structured {
            Head::error(refusal.cookie, refusal.errno)
        } else {
            Head::simple(refusal.cookie, Err(refusal.errno))
        }
    }

    fn needed(&self) -> usize {
        match self.state {
            State::Flags => size_of::<U32>(),
            State::Option => size_of::<OptionHead>(),
            State::Data { len, .. } => len,
            State::Request => size_of::<RequestHead>(),
            _ => 0,
        }
    }

    /// Collects a record that may come in pieces, and acts on it once it is whole.
    fn gather(&mut self, bytes: &[u8], export: &Export<'_>) -> Event {
        let end = self.have.saturating_add(bytes.len());
        if let Some(to) = self.gathered.get_mut(self.have..end) {
            to.copy_from_slice(bytes);
            self.have = end;
        }
        if self.have < self.needed() {
            return Event::None;
        }
        let whole = core::mem::take(&mut self.have);
        match self.state {
            State::Flags => self.flags(),
            State::Option => self.option(export),
            State::Data { option, .. } => self.answer(option, whole, export),
            State::Request => return self.request(export),
            _ => {}
        }
        Event::None
    }

    fn flags(&mut self) {
        let flags = U32::read_from_prefix(&self.gathered).map_or(0, |(flags, _)| flags.get());
        self.agreed.flags = flags;
        // "Client flags": the server must drop the connection over a flag that it did not offer.
        let known = flags & !u32::from(HANDSHAKE_FLAGS) == 0;
        self.state = if known { State::Option } else { State::Closed };
    }

    fn option(&mut self, export: &Export<'_>) {
        let Ok((head, _)) = OptionHead::read_from_prefix(&self.gathered) else {
            return;
        };
        let (option, left) = (head.option.get(), head.len.get());
        let len = left as usize;
        self.state = if head.magic.get() != OPTION_MAGIC || left > MAX_SKIPPED_OPTION {
            State::Closed
        } else if len > MAX_OPTION {
            State::SkipOption { option, left }
        } else {
            State::Data { option, len }
        };
        if len == 0 && self.state != State::Closed {
            self.answer(option, 0, export);
        }
    }

    fn answer(&mut self, option: u32, len: usize, export: &Export<'_>) {
        let data = self.gathered.get(..len).unwrap_or(&[]);
        let mut haggle = Haggle { option, export, agreed: &mut self.agreed, out: &mut self.out };
        self.state = after(haggle.answer(data));
    }

    fn skip_option(&mut self, option: u32, left: u32, n: usize, export: &Export<'_>) {
        let left = left.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        self.state = State::SkipOption { option, left };
        if left == 0 {
            let mut haggle = Haggle { option, export, agreed: &mut self.agreed, out: &mut self.out };
            self.state = after(haggle.too_big());
        }
    }

    fn request(&mut self, export: &Export<'_>) -> Event {
        let Ok((head, _)) = RequestHead::read_from_prefix(&self.gathered) else {
            return Event::None;
        };
        let (kind, len) = (head.kind.get(), head.len.get());
        if head.magic.get() != REQUEST_MAGIC || kind == cmd::DISC {
            self.state = State::Closed;
            return Event::None;
        }
        let terms = Terms { structured: self.agreed.structured, contexts: self.agreed.contexts };
        match check(&head, export, terms) {
            Ok(request) => {
                if request.command == Command::Write {
                    self.state = State::Payload { left: len };
                }
                Event::Request(request)
            }
            Err(refusal) => {
                if kind == cmd::WRITE {
                    self.state = refused_payload(len);
                }
                Event::Refused(refusal)
            }
        }
    }
}

fn after(next: Next) -> State {
    match next {
        Next::Option => State::Option,
        Next::Transmission => State::Request,
        Next::Close => State::Closed,
    }
}

fn skipping(left: u32, n: usize) -> State {
    match left.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX)) {
        0 => State::Request,
        left => State::SkipPayload { left },
    }
}

/// "Block size constraints": a server need not read a payload that is larger than the maximum only to refuse it.
fn refused_payload(len: u32) -> State {
    match len {
        0 => State::Request,
        1..=MAX_PAYLOAD => State::SkipPayload { left: len },
        _ => State::Closed,
    }
}
