// SPDX-License-Identifier: MIT
//! Option haggling: one option in, its replies out ("Option types", "Option reply types").
use crate::export::Export;
use crate::reply::ALLOCATION_CONTEXT;
use crate::wire::{
    ExportNameReply, InfoExport, MAX_STRING, OPTION_REPLY_MAGIC, OptionReplyHead, handshake, info, option, rep,
};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

/// Most bytes of an option's data that is looked at: a name of 4096 bytes is legal, but none of ours has more than 63.
pub(crate) const MAX_OPTION: usize = 1024;
/// Most bytes that all replies to one option take.
pub(crate) const MAX_REPLIES: usize = 512;
const ALLOCATION: &[u8] = b"base:allocation";
const DESCRIPTION: &str = "Orion volume";

/// What was agreed on so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agreed {
    /// Client flags.
    pub flags: u32,
    /// Structured replies.
    pub structured: bool,
    /// `base:allocation` was chosen.
    pub contexts: bool,
}

/// How haggling goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// With another option.
    Option,
    /// Transmission begins.
    Transmission,
    /// The connection is closed once the replies are sent.
    Close,
}

/// Bytes that wait to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    bytes: [u8; MAX_REPLIES],
    start: usize,
    end: usize,
}

impl Output {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; MAX_REPLIES], start: 0, end: 0 }
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or(&[])
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends `bytes`. Every caller's replies fit by the sizes of their parts; what did not would be left out whole.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.end.saturating_add(bytes.len());
        if let Some(to) = self.bytes.get_mut(self.end..end) {
            to.copy_from_slice(bytes);
            self.end = end;
        }
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[&[u8]]) {
        let len: usize = data.iter().map(|part| part.len()).sum();
        let head = OptionReplyHead {
            magic: OPTION_REPLY_MAGIC.into(),
            option: option.into(),
            kind: kind.into(),
            len: U32::new(u32::try_from(len).unwrap_or(0)),
        };
        if self.end.saturating_add(size_of_val(&head)).saturating_add(len) <= MAX_REPLIES {
            self.put(head.as_bytes());
            data.iter().for_each(|part| self.put(part));
        }
    }
}

/// One option being answered.
pub(crate) struct Haggle<'a> {
    pub(crate) option: u32,
    pub(crate) export: &'a Export<'a>,
    pub(crate) agreed: &'a mut Agreed,
    pub(crate) out: &'a mut Output,
}

impl Haggle<'_> {
    /// Answers the option with this data.
    pub(crate) fn answer(&mut self, data: &[u8]) -> Next {
        match self.option {
            option::EXPORT_NAME => self.export_name(data),
            option::ABORT => {
                self.reply(rep::ACK, &[]);
                Next::Close
            }
            option::LIST => self.list(data),
            option::INFO => self.info(data, Next::Option),
            option::GO => self.info(data, Next::Transmission),
            option::STRUCTURED_REPLY => self.structured(data),
            option::LIST_META_CONTEXT => self.contexts(data, false),
            option::SET_META_CONTEXT => self.contexts(data, true),
            option::STARTTLS => self.refuse(rep::ERR_UNSUP, "this server has no TLS"),
            _ => self.refuse(rep::ERR_UNSUP, "unknown option"),
        }
    }

    /// Answers an option whose data is longer than anything that is looked at.
    pub(crate) fn too_big(&mut self) -> Next {
        match self.option {
            option::EXPORT_NAME => Next::Close,
            option::ABORT => self.answer(&[]),
            option::INFO
            | option::GO
            | option::LIST
            | option::STRUCTURED_REPLY
            | option::LIST_META_CONTEXT
            | option::SET_META_CONTEXT => self.refuse(rep::ERR_TOO_BIG, "more than 1024 bytes of option data"),
            _ => self.answer(&[]),
        }
    }

    fn reply(&mut self, kind: u32, data: &[&[u8]]) {
        self.out.reply(self.option, kind, data);
    }

    fn refuse(&mut self, kind: u32, why: &str) -> Next {
        self.reply(kind, &[why.as_bytes()]);
        Next::Option
    }

    fn export_name(&mut self, name: &[u8]) -> Next {
        if !self.export.is_named(name) {
            return Next::Close;
        }
        let reply =
            ExportNameReply { size: self.export.size.into(), flags: self.export.flags(self.agreed.structured).into() };
        self.out.put(reply.as_bytes());
        if self.agreed.flags & u32::from(handshake::NO_ZEROES) == 0 {
            self.out.put(&[0; 124]);
        }
        Next::Transmission
    }

    fn list(&mut self, data: &[u8]) -> Next {
        if !data.is_empty() {
            return self.refuse(rep::ERR_INVALID, "NBD_OPT_LIST takes no data");
        }
        let name = self.export.name.as_bytes();
        let len = U32::new(u32::try_from(name.len()).unwrap_or(0));
        self.reply(rep::SERVER, &[len.as_bytes(), name]);
        self.reply(rep::ACK, &[]);
        Next::Option
    }

    fn structured(&mut self, data: &[u8]) -> Next {
        if !data.is_empty() {
            return self.refuse(rep::ERR_INVALID, "NBD_OPT_STRUCTURED_REPLY takes no data");
        }
        self.agreed.structured = true;
        self.reply(rep::ACK, &[]);
        Next::Option
    }

    fn info(&mut self, data: &[u8], next: Next) -> Next {
        let Some((name, wanted)) = parse_info(data) else {
            return self.refuse(rep::ERR_INVALID, "malformed export name or list of information requests");
        };
        if !self.export.is_named(name) {
            return self.refuse(rep::ERR_UNKNOWN, "no such export; NBD_OPT_LIST names it");
        }
        let wants = |kind| wanted.iter().any(|w| w.get() == kind);
        let block_size = self.export.block_size();
        self.reply(rep::INFO, &[block_size.as_bytes()]);
        // "NBD_REP_ERR_BLOCK_SIZE_REQD": a client that does not ask assumes that 512 bytes will do.
        if self.export.minimum > 512 && !wants(info::BLOCK_SIZE) {
            return self.refuse(rep::ERR_BLOCK_SIZE_REQD, "ask for NBD_INFO_BLOCK_SIZE: blocks are larger than 512");
        }
        let export = InfoExport {
            kind: info::EXPORT.into(),
            size: self.export.size.into(),
            flags: self.export.flags(self.agreed.structured).into(),
        };
        self.reply(rep::INFO, &[export.as_bytes()]);
        for (kind, text) in [(info::NAME, self.export.name), (info::DESCRIPTION, DESCRIPTION)] {
            if wants(kind) {
                self.reply(rep::INFO, &[U16::new(kind).as_bytes(), text.as_bytes()]);
            }
        }
        self.reply(rep::ACK, &[]);
        next
    }

    fn contexts(&mut self, data: &[u8], set: bool) -> Next {
        if set {
            self.agreed.contexts = false;
        }
        if !self.agreed.structured {
            return self.refuse(rep::ERR_INVALID, "negotiate structured replies first");
        }
        let Some((name, selected)) = parse_contexts(data, set) else {
            return self.refuse(rep::ERR_INVALID, "malformed export name or list of queries");
        };
        if !self.export.is_named(name) {
            return self.refuse(rep::ERR_UNKNOWN, "no such export; NBD_OPT_LIST names it");
        }
        if selected {
            let id = U32::new(if set { ALLOCATION_CONTEXT } else { 0 });
            self.reply(rep::META_CONTEXT, &[id.as_bytes(), ALLOCATION]);
        }
        self.agreed.contexts |= set && selected;
        self.reply(rep::ACK, &[]);
        Next::Option
    }
}

/// A string with its length before it; the rest.
fn string(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = U32::read_from_prefix(data).ok()?;
    let len = usize::try_from(len.get()).ok().filter(|&len| len <= MAX_STRING)?;
    rest.split_at_checked(len)
}

/// The export's name and the kinds of information asked for; nothing may follow.
fn parse_info(data: &[u8]) -> Option<(&[u8], &[U16])> {
    let (name, rest) = string(data)?;
    let (count, rest) = U16::read_from_prefix(rest).ok()?;
    let wanted = <[U16]>::ref_from_bytes(rest).ok()?;
    (wanted.len() == usize::from(count.get())).then_some((name, wanted))
}

/// The export's name and whether the queries select `base:allocation`; nothing may follow. When listing, no query
/// means all, and so does a query of the namespace alone.
fn parse_contexts(data: &[u8], set: bool) -> Option<(&[u8], bool)> {
    let (name, rest) = string(data)?;
    let (count, mut rest) = U32::read_from_prefix(rest).ok()?;
    let mut selected = !set && count.get() == 0;
    for _ in 0..count.get() {
        let query;
        (query, rest) = string(rest)?;
        selected |= query == ALLOCATION || (!set && query == b"base:");
    }
    rest.is_empty().then_some((name, selected))
}
