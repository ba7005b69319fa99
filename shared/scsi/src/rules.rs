// SPDX-License-Identifier: MIT
//! What is done when a command did not go well: all rules, as one table.
use crate::port::Trouble;
use crate::wire::sense::{Sense, key};
use orion_block::Error;

/// Statuses (SAM-5, section 5.3.1).
pub mod status {
    /// It went well.
    pub const GOOD: u8 = 0x00;
    /// It did not; the sense data say why.
    pub const CHECK_CONDITION: u8 = 0x02;
    /// What was searched for was found.
    pub const CONDITION_MET: u8 = 0x04;
    /// The unit cannot take the command now.
    pub const BUSY: u8 = 0x08;
    /// Another initiator has reserved the unit.
    pub const RESERVATION_CONFLICT: u8 = 0x18;
    /// The unit has no room for another command.
    pub const TASK_SET_FULL: u8 = 0x28;
    /// An earlier failure holds the unit up.
    pub const ACA_ACTIVE: u8 = 0x30;
    /// Another initiator aborted it.
    pub const TASK_ABORTED: u8 = 0x40;
}

/// The additional sense code of a predicted failure.
pub const FAILURE_PREDICTION: u8 = 0x5d;

/// What to do with the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It went well after all.
    Accept,
    /// Send it again at once.
    Again,
    /// Send it again after a while that grows.
    Later,
    /// START STOP UNIT first; then as [`Later`](Self::Later).
    Start,
    /// Answer with the rule's error.
    Fail,
}

/// What to learn about the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// Nothing.
    Nothing,
    /// What it says of itself must be read anew.
    Altered,
    /// What its volatile cache held is gone: it lost power, or a write failed after it was answered.
    PowerLost,
    /// It expects to fail.
    Failing,
    /// The units of its target must be looked for anew.
    Inventory,
    /// It, or its medium, is not there.
    Gone,
}

/// What a rule is about. `ANY` stands for every code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Sense data: key, additional code, qualifier.
    Sense(u8, u8, u8),
    /// A status other than GOOD and CHECK CONDITION.
    Status(u8),
    /// The transport.
    Port(Trouble),
    /// Sense data of an earlier command that was answered as done: what was written then is not there.
    Deferred,
    /// CHECK CONDITION without sense data that can be read, or a status that nobody knows.
    Senseless,
}

/// Every additional code or qualifier.
pub const ANY: u8 = 0xff;

/// A rule: the first that is about what happened holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub on: On,
    /// What to do with the command.
    pub then: Then,
    /// The answer where it is not, or not any more, sent again.
    pub error: Error,
    /// What to learn.
    pub learn: Learn,
    /// What it means.
    pub text: &'static str,
}

/// How often a command is sent again at once. Unit attentions come one by one, and a reset leaves several.
pub const AGAIN_MAX: u8 = 8;
/// How often a command is sent again later that fails for no reason that passes by itself.
pub const LATER_MAX: u8 = 5;
/// Nanoseconds before the first command that is sent again later; each wait is twice as long as the one before.
pub const BACKOFF_NS: u64 = 5_000_000;
/// Nanoseconds of the longest wait.
pub const BACKOFF_MAX_NS: u64 = 1_000_000_000;

/// The wait before a command is sent again that was sent `tries` times.
pub fn backoff(tries: u8) -> u64 {
    (BACKOFF_NS << tries.saturating_sub(1).min(8)).min(BACKOFF_MAX_NS)
}

const fn rule(on: On, then: Then, error: Error, learn: Learn, text: &'static str) -> Rule {
    Rule { on, then, error, learn, text }
}

/// The rules. Codes are those of SPC-4's annex F (T10's list).
pub static TABLE: &[Rule] = {
    use Learn::{Altered, Failing, Gone, Inventory, Nothing, PowerLost};
    use On::{Deferred, Port, Sense as S, Senseless, Status};
    use Then::{Accept, Again, Fail, Later, Start};
    use key::*;
    &[
        // Before all others: the command itself was not done (SPC-4, 4.5.7).
        rule(Deferred, Again, Error::Io, PowerLost, "an earlier write failed after it was answered"),
        rule(S(NO_SENSE, FAILURE_PREDICTION, ANY), Accept, Error::Io, Failing, "failure predicted"),
        rule(S(NO_SENSE, ANY, ANY), Accept, Error::Io, Nothing, "no sense"),
        rule(S(RECOVERED_ERROR, FAILURE_PREDICTION, ANY), Accept, Error::Io, Failing, "failure predicted"),
        rule(S(RECOVERED_ERROR, ANY, ANY), Accept, Error::Io, Nothing, "recovered by the device"),
        rule(S(COMPLETED, ANY, ANY), Accept, Error::Io, Nothing, "completed"),
        // Not ready: some of it passes, some needs us, some needs a person.
        rule(S(NOT_READY, 0x04, 0x01), Later, Error::Again, Nothing, "becoming ready"),
        rule(S(NOT_READY, 0x04, 0x02), Start, Error::Again, Nothing, "must be started"),
        rule(S(NOT_READY, 0x04, 0x03), Fail, Error::Offline, Gone, "needs a person"),
        rule(S(NOT_READY, 0x04, 0x04), Fail, Error::Offline, Nothing, "being formatted"),
        rule(S(NOT_READY, 0x04, 0x07), Later, Error::Again, Nothing, "an operation is in progress"),
        rule(S(NOT_READY, 0x04, 0x09), Later, Error::Again, Nothing, "a self-test is in progress"),
        rule(S(NOT_READY, 0x04, 0x0a), Later, Error::Again, Nothing, "changing its access state"),
        rule(S(NOT_READY, 0x04, 0x0b), Fail, Error::Offline, Nothing, "this way to it is on standby"),
        rule(S(NOT_READY, 0x04, 0x0c), Fail, Error::Offline, Nothing, "this way to it is unavailable"),
        rule(S(NOT_READY, 0x04, 0x11), Later, Error::Again, Nothing, "waits for its bus to allow spin-up"),
        rule(S(NOT_READY, 0x04, 0x12), Fail, Error::Offline, Nothing, "offline"),
        rule(S(NOT_READY, 0x04, 0x14), Later, Error::NoSpace, Nothing, "waits for space"),
        rule(S(NOT_READY, 0x04, 0x1b), Fail, Error::Offline, Nothing, "being sanitized"),
        rule(S(NOT_READY, 0x3a, ANY), Fail, Error::Offline, Gone, "no medium"),
        rule(S(NOT_READY, 0x3e, 0x00), Later, Error::Again, Nothing, "has not configured itself yet"),
        rule(S(NOT_READY, ANY, ANY), Later, Error::Again, Nothing, "not ready"),
        // The device has tried often enough itself.
        rule(S(MEDIUM_ERROR, ANY, ANY), Fail, Error::Medium, Nothing, "medium error"),
        rule(S(BLANK_CHECK, ANY, ANY), Fail, Error::Medium, Nothing, "blank medium"),
        rule(S(HARDWARE_ERROR, FAILURE_PREDICTION, ANY), Fail, Error::Io, Failing, "failure predicted"),
        rule(S(HARDWARE_ERROR, 0x3e, 0x01), Fail, Error::Offline, Gone, "the unit has failed"),
        rule(S(HARDWARE_ERROR, 0x44, 0x00), Later, Error::Io, Nothing, "internal target failure"),
        rule(S(HARDWARE_ERROR, ANY, ANY), Fail, Error::Io, Nothing, "hardware error"),
        // Commands that are wrong stay wrong.
        rule(S(ILLEGAL_REQUEST, 0x20, 0x00), Fail, Error::Unsupported, Nothing, "no such command"),
        rule(S(ILLEGAL_REQUEST, 0x20, 0x02), Fail, Error::Denied, Nothing, "no access rights"),
        rule(S(ILLEGAL_REQUEST, 0x21, 0x00), Fail, Error::OutOfRange, Altered, "block out of range"),
        rule(
            S(ILLEGAL_REQUEST, 0x24, 0x00),
            Fail,
            Error::Unsupported,
            Nothing,
            "a field of the command is not supported",
        ),
        rule(S(ILLEGAL_REQUEST, 0x25, 0x00), Fail, Error::Offline, Gone, "no such logical unit"),
        rule(S(ILLEGAL_REQUEST, 0x26, ANY), Fail, Error::Unsupported, Nothing, "a parameter is not supported"),
        rule(S(ILLEGAL_REQUEST, 0x27, ANY), Fail, Error::ReadOnly, Altered, "write-protected"),
        rule(S(ILLEGAL_REQUEST, 0x55, ANY), Later, Error::Again, Nothing, "no resources for it"),
        rule(S(ILLEGAL_REQUEST, ANY, ANY), Fail, Error::Unsupported, Nothing, "illegal request"),
        // Unit attentions (SAM-5, 5.14) say what happened; the command was not done.
        rule(S(UNIT_ATTENTION, 0x28, ANY), Again, Error::Io, Altered, "the medium may be another"),
        rule(S(UNIT_ATTENTION, 0x29, 0x01), Again, Error::Io, PowerLost, "power was on again"),
        rule(S(UNIT_ATTENTION, 0x29, ANY), Again, Error::Io, Altered, "reset"),
        rule(S(UNIT_ATTENTION, 0x2a, ANY), Again, Error::Io, Altered, "its parameters or capacity changed"),
        rule(S(UNIT_ATTENTION, 0x38, ANY), Again, Error::Io, Nothing, "a threshold of its space was reached"),
        rule(S(UNIT_ATTENTION, 0x3a, ANY), Fail, Error::Offline, Gone, "no medium"),
        rule(S(UNIT_ATTENTION, 0x3f, 0x0e), Again, Error::Io, Inventory, "the target's units changed"),
        rule(S(UNIT_ATTENTION, 0x3f, ANY), Again, Error::Io, Altered, "what it says of itself changed"),
        rule(S(UNIT_ATTENTION, 0x0b, ANY), Again, Error::Io, Failing, "it warns"),
        rule(S(UNIT_ATTENTION, FAILURE_PREDICTION, ANY), Again, Error::Io, Failing, "failure predicted"),
        rule(S(UNIT_ATTENTION, ANY, ANY), Again, Error::Io, Nothing, "unit attention"),
        // 27/07: a thinly provisioned unit without space (SBC-3, 4.7.3.6).
        rule(S(DATA_PROTECT, 0x27, 0x07), Fail, Error::NoSpace, Nothing, "no space is left to allocate"),
        rule(S(DATA_PROTECT, 0x27, ANY), Fail, Error::ReadOnly, Altered, "write-protected"),
        rule(S(DATA_PROTECT, ANY, ANY), Fail, Error::Denied, Nothing, "protected"),
        // 10/xx: a check of protection information failed; sent again it fails again.
        rule(S(ABORTED_COMMAND, 0x10, ANY), Fail, Error::Medium, Nothing, "protection information does not match"),
        rule(S(ABORTED_COMMAND, 0x44, 0x00), Later, Error::Io, Nothing, "internal target failure"),
        rule(S(ABORTED_COMMAND, ANY, ANY), Again, Error::Io, Nothing, "the device gave it up"),
        rule(S(COPY_ABORTED, ANY, ANY), Fail, Error::Io, Nothing, "a copy was ended"),
        rule(S(VOLUME_OVERFLOW, ANY, ANY), Fail, Error::NoSpace, Nothing, "the medium is full"),
        rule(S(MISCOMPARE, ANY, ANY), Fail, Error::Io, Nothing, "data differ from what they are compared with"),
        rule(S(ANY, ANY, ANY), Fail, Error::Io, Nothing, "a sense key that nobody knows"),
        rule(Status(status::CONDITION_MET), Accept, Error::Io, Nothing, "condition met"),
        rule(Status(status::BUSY), Later, Error::Again, Nothing, "busy"),
        rule(Status(status::RESERVATION_CONFLICT), Fail, Error::Denied, Nothing, "another initiator has reserved it"),
        rule(Status(status::TASK_SET_FULL), Later, Error::Again, Nothing, "its queue is full"),
        rule(Status(status::ACA_ACTIVE), Later, Error::Again, Nothing, "held up by an earlier failure"),
        rule(Status(status::TASK_ABORTED), Again, Error::Io, Nothing, "another initiator aborted it"),
        rule(Port(Trouble::Absent), Fail, Error::Offline, Gone, "no such target"),
        rule(Port(Trouble::Busy), Later, Error::Again, Nothing, "the transport is busy"),
        rule(Port(Trouble::Reset), Again, Error::Io, Altered, "a reset ended it"),
        rule(Port(Trouble::Aborted), Fail, Error::TimedOut, Nothing, "it took too long and was aborted"),
        rule(Port(Trouble::Overrun), Fail, Error::Io, Nothing, "the target moved more than was asked for"),
        rule(Port(Trouble::Transport), Later, Error::Io, Nothing, "the way to the target failed"),
        rule(Port(Trouble::Other), Later, Error::Io, Nothing, "the transport failed"),
        rule(Senseless, Later, Error::Io, Nothing, "it failed without a reason"),
    ]
};

/// The rule for what happened. There is one for everything.
#[cold]
pub fn find(trouble: Option<Trouble>, status: u8, sense: Option<Sense>) -> &'static Rule {
    const LAST: &Rule = &rule(On::Senseless, Then::Fail, Error::Io, Learn::Nothing, "it failed without a reason");
    let fits = |rule: &&Rule| match rule.on {
        On::Port(about) => trouble == Some(about),
        _ if trouble.is_some() => false,
        On::Status(about) => status == about,
        On::Deferred => status == status::CHECK_CONDITION && sense.is_some_and(|sense| sense.deferred),
        On::Sense(key, asc, ascq) => {
            status == status::CHECK_CONDITION
                && sense.is_some_and(|sense| {
                    (key == ANY || key == sense.key)
                        && (asc == ANY || asc == sense.asc)
                        && (ascq == ANY || ascq == sense.ascq)
                })
        }
        On::Senseless => true,
    };
    TABLE.iter().find(fits).unwrap_or(LAST)
}

#[cfg(test)]
mod tests;
