// SPDX-License-Identifier: MIT
//! Requests of the transmission phase, checked against the export once and then trusted ("Request types").
use crate::export::{Export, MAX_PAYLOAD};
use crate::wire::{Errno, RequestHead, cmd, flag, transmission as t};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read; `whole`: in one chunk.
    Read {
        /// Whether the data must be sent in one chunk.
        whole: bool,
    },
    /// Write the payload that follows.
    Write,
    /// Flush.
    Flush,
    /// Trim.
    Trim,
    /// Write zeroes.
    WriteZeroes,
    /// Describe the allocation of a range.
    BlockStatus,
}

/// A request that lies within the export, is aligned, and is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to put into every reply.
    pub cookie: u64,
    /// What is asked.
    pub command: Command,
    /// Durable when answered.
    pub fua: bool,
    /// First byte: a multiple of the minimum block size.
    pub offset: u64,
    /// Bytes: a multiple of the minimum block size; 0 only for [`Command::Flush`].
    pub len: u32,
}

/// A request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to put into the reply.
    pub cookie: u64,
    /// Why.
    pub errno: Errno,
    /// Whether the reply must be structured where structured replies are used.
    pub structured: bool,
}

/// What of the session a request is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Structured replies were negotiated.
    pub structured: bool,
    /// A metadata context was chosen.
    pub contexts: bool,
}

/// Checks a request's head. Disconnects and wrong magic numbers are the caller's.
pub(crate) fn check(head: &RequestHead, export: &Export<'_>, terms: Terms) -> Result<Request, Refusal> {
    let kind = head.kind.get();
    let refuse =
        |errno| Refusal { cookie: head.cookie.get(), errno, structured: matches!(kind, cmd::READ | cmd::BLOCK_STATUS) };
    let command = command(head, export, terms).map_err(refuse)?;
    let request = Request {
        cookie: head.cookie.get(),
        command,
        fua: head.flags.get() & flag::FUA != 0,
        offset: head.offset.get(),
        len: head.len.get(),
    };
    check_range(&request, export).map_err(refuse)?;
    Ok(request)
}

fn command(head: &RequestHead, export: &Export<'_>, terms: Terms) -> Result<Command, Errno> {
    let flags = head.flags.get();
    let (command, known, offered) = match head.kind.get() {
        cmd::READ => {
            let df = if terms.structured { flag::DF } else { 0 };
            let whole = flags & flag::DF != 0;
            (Command::Read { whole }, df, true)
        }
        cmd::WRITE => (Command::Write, 0, true),
        cmd::FLUSH => (Command::Flush, 0, export.has(t::SEND_FLUSH)),
        cmd::TRIM => (Command::Trim, 0, export.has(t::SEND_TRIM)),
        cmd::WRITE_ZEROES => {
            let known = flag::NO_HOLE | flag::FAST_ZERO;
            (Command::WriteZeroes, known, export.has(t::SEND_WRITE_ZEROES))
        }
        cmd::BLOCK_STATUS => (Command::BlockStatus, flag::REQ_ONE, terms.contexts),
        _ => return Err(Errno::Inval),
    };
    if modifies(command) && export.has(t::READ_ONLY) {
        return Err(Errno::Perm);
    }
    let fua = if export.has(t::SEND_FUA) { flag::FUA } else { 0 };
    if !offered || flags & !(known | fua) != 0 {
        return Err(Errno::Inval);
    }
    Ok(command).and_then(|c| refuse_slow(c, flags))
}

/// We can't tell whether a device's zeroing is faster than writing, so whoever asks for speed writes the zeroes.
fn refuse_slow(command: Command, flags: u16) -> Result<Command, Errno> {
    if command == Command::WriteZeroes && flags & flag::FAST_ZERO != 0 {
        return Err(Errno::NotSup);
    }
    Ok(command)
}

const fn modifies(command: Command) -> bool {
    matches!(command, Command::Write | Command::Trim | Command::WriteZeroes)
}

fn check_range(request: &Request, export: &Export<'_>) -> Result<(), Errno> {
    let (offset, len) = (request.offset, request.len);
    if request.command == Command::Flush {
        return if offset == 0 && len == 0 { Ok(()) } else { Err(Errno::Inval) };
    }
    let end = offset.checked_add(u64::from(len));
    if end.is_none_or(|end| end > export.size) {
        let grows = matches!(request.command, Command::Write | Command::WriteZeroes);
        return Err(if grows { Errno::NoSpace } else { Errno::Inval });
    }
    let mask = export.minimum.wrapping_sub(1);
    if len == 0 || len & mask != 0 || offset & u64::from(mask) != 0 {
        return Err(Errno::Inval);
    }
    match request.command {
        Command::Read { whole: true } if len > export.unfragmented => Err(Errno::Overflow),
        Command::Read { .. } | Command::Write if len > MAX_PAYLOAD => Err(Errno::Inval),
        _ => Ok(()),
    }
}
