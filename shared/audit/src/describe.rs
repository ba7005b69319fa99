// SPDX-License-Identifier: MIT
//! A record as people read it.
use crate::record::{Name, Record, What};
use core::fmt::{self, Display, Formatter};
use orion_block::Op;
use orion_caps::{Reason, Rights};
use orion_control::Verb;

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("?");
        }
        self.chars().try_for_each(|c| write!(f, "{c}"))
    }
}

/// `first..end`; `first..` to the end of a volume.
fn extent(record: &Record, f: &mut Formatter<'_>) -> fmt::Result {
    let (first, blocks) = (record.extent.first, record.extent.blocks);
    match first.checked_add(blocks) {
        Some(end) => write!(f, "blocks {first}..{end}"),
        None => write!(f, "blocks {first}.."),
    }
}

fn capability(record: &Record, f: &mut Formatter<'_>) -> fmt::Result {
    extent(record, f)?;
    write!(f, " of {}, {}", record.volume, record.rights)
}

fn refused(record: &Record, op: Op, reason: Reason, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{} was refused: {op:?} ", record.who)?;
    if op != Op::Flush {
        extent(record, f)?;
        write!(f, " (of {} bytes) ", 1u64 << record.shift.min(63))?;
    }
    write!(f, "through window {}", record.window)?;
    match reason {
        Reason::NoCapability => f.write_str(", which holds no capability"),
        Reason::Right => write!(f, " without the right to {}", Rights::needed(op)),
        Reason::Extent => f.write_str(", outside its extent"),
        Reason::Frozen => f.write_str(", which is suspended"),
        Reason::Revoked => f.write_str(", which was taken back while the request waited"),
        Reason::Unwatched => f.write_str(", while the supervisor did not live"),
    }
}

/// `1 capability`, `2 capabilities`.
struct Capabilities(u64);

impl Display for Capabilities {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("1 capability") } else { write!(f, "{} capabilities", self.0) }
    }
}

fn what(record: &Record, f: &mut Formatter<'_>) -> fmt::Result {
    let Record { who, to, window, to_window, count, .. } = record;
    match record.what {
        What::Started => write!(f, "the gatekeeper started with {count} grants"),
        What::Restarted => write!(f, "the gatekeeper was restarted with its state {}", record.state),
        What::StateLost => f.write_str("the gatekeeper was restarted and its state was lost: everything is denied"),
        What::Granted => {
            write!(f, "granted to {who} as window {window}: ")?;
            capability(record, f)
        }
        What::Attenuated => {
            write!(f, "{who} derived its window {to_window} from window {window}: ")?;
            capability(record, f)
        }
        What::Delegated => {
            write!(f, "{who} gave {to} as window {to_window}, from its window {window}: ")?;
            capability(record, f)
        }
        What::Narrowed => {
            write!(f, "{who} narrowed window {to_window} of {to} to: ")?;
            capability(record, f)
        }
        What::Revoked => write!(f, "{who} took back window {to_window} of {to}: {}", Capabilities(*count)),
        What::Frozen => write!(f, "{who} suspended window {to_window} of {to}: {}", Capabilities(*count)),
        What::Unfrozen => write!(f, "{who} resumed window {to_window} of {to}: {}", Capabilities(*count)),
        What::Advanced => {
            let epoch = record.extent.first;
            write!(
                f,
                "{who} began epoch {epoch} of the volume of its window {window}: {} expired",
                Capabilities(*count)
            )
        }
        What::Ordered => {
            let verb = u8::try_from(record.extent.first).ok().and_then(Verb::of);
            let (verb, about) = (verb.map_or("do something unknown", Verb::text), record.extent.blocks);
            write!(f, "{who} had the device of {} told to: {verb} ({about})", record.volume)
        }
        What::Limited => {
            let (iops, bytes) = (record.extent.first, record.extent.blocks);
            write!(
                f,
                "{who} limited window {to_window} of {to} to {iops}/s, {bytes} bytes/s, {count} in flight (0: no limit)"
            )
        }
        What::Refused(op, reason) => refused(record, op, reason, f),
        What::Denied(Some(kind), why) => {
            write!(f, "{who} was refused: {kind:?} of window {to_window} of {to}: {why}")
        }
        What::Denied(None, why) => write!(f, "{who} was refused: {why}"),
        What::Counted => write!(f, "{who} was refused {count} more, malformed or beyond what is told one by one"),
        What::Closed => write!(f, "{who} broke the protocol of its ring: its connection was closed"),
        What::VolumeClosed => {
            write!(
                f,
                "{} was closed: its server broke the protocol of its ring, or was not ready in time",
                record.volume
            )
        }
        What::Unknown(number) => write!(f, "something of kind {number}, which this version does not know"),
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        what(self, f)?;
        match (self.line, self.what) {
            (0, _) => Ok(()),
            (line, _) => write!(f, " (system.xml line {line})"),
        }
    }
}
