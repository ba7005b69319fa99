// SPDX-License-Identifier: MIT
//! What the bytes look like: records in network byte order and the values of their fields ("Values").
use orion_block::Error;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of the server's greeting.
pub const INIT_MAGIC: u64 = u64::from_be_bytes(*b"NBDMAGIC");
/// Second half of the greeting, and the first bytes of every option.
pub const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
/// First bytes of every reply to an option.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// First bytes of every request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// First bytes of a simple reply.
pub const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
/// First bytes of a chunk of a structured reply.
pub const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;
/// Most bytes of a string.
pub const MAX_STRING: usize = 4096;

/// The server's first message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Greeting {
    /// [`INIT_MAGIC`].
    pub init: U64,
    /// [`OPTION_MAGIC`].
    pub option: U64,
    /// Bits of [`handshake`].
    pub flags: U16,
}

/// What precedes the data of every option.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct OptionHead {
    /// [`OPTION_MAGIC`].
    pub magic: U64,
    /// One of [`option`].
    pub option: U32,
    /// Bytes of data that follow.
    pub len: U32,
}

/// What precedes the data of every reply to an option.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct OptionReplyHead {
    /// [`OPTION_REPLY_MAGIC`].
    pub magic: U64,
    /// The option that is answered.
    pub option: U32,
    /// One of [`rep`].
    pub kind: U32,
    /// Bytes of data that follow.
    pub len: U32,
}

/// Data of an information reply of kind [`info::EXPORT`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InfoExport {
    /// [`info::EXPORT`].
    pub kind: U16,
    /// Bytes of the export.
    pub size: U64,
    /// Bits of [`transmission`].
    pub flags: U16,
}

/// Data of an information reply of kind [`info::BLOCK_SIZE`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InfoBlockSize {
    /// [`info::BLOCK_SIZE`].
    pub kind: U16,
    /// Every offset and length is a multiple of it.
    pub minimum: U32,
    /// Served best.
    pub preferred: U32,
    /// Most bytes of a read or a write.
    pub maximum: U32,
}

/// The answer to [`option::EXPORT_NAME`], without its zeroes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExportNameReply {
    /// Bytes of the export.
    pub size: U64,
    /// Bits of [`transmission`].
    pub flags: U16,
}

/// A request of the transmission phase; the payload of a write follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RequestHead {
    /// [`REQUEST_MAGIC`].
    pub magic: U32,
    /// Bits of [`flag`].
    pub flags: U16,
    /// One of [`cmd`].
    pub kind: U16,
    /// Chosen by the client; comes back in every reply.
    pub cookie: U64,
    /// First byte.
    pub offset: U64,
    /// Bytes.
    pub len: U32,
}

/// A simple reply; data follows only that of a read without error.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SimpleReply {
    /// [`SIMPLE_REPLY_MAGIC`].
    pub magic: U32,
    /// An [`Errno`], or 0.
    pub error: U32,
    /// The request's.
    pub cookie: U64,
}

/// Head of a chunk of a structured reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ChunkHead {
    /// [`STRUCTURED_REPLY_MAGIC`].
    pub magic: U32,
    /// [`chunk::DONE`] or 0.
    pub flags: U16,
    /// One of [`chunk`].
    pub kind: U16,
    /// The request's.
    pub cookie: U64,
    /// Bytes that follow.
    pub len: U32,
}

/// Handshake flags of the server, and the client's answers to them.
pub mod handshake {
    /// Options can be haggled over.
    pub const FIXED_NEWSTYLE: u16 = 1;
    /// The zeroes after [`ExportNameReply`](super::ExportNameReply) can be left out.
    pub const NO_ZEROES: u16 = 1 << 1;
}

/// Transmission flags.
pub mod transmission {
    /// Always set.
    pub const HAS_FLAGS: u16 = 1;
    /// Nothing can be written.
    pub const READ_ONLY: u16 = 1 << 1;
    /// Flush is offered.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// Force unit access is offered.
    pub const SEND_FUA: u16 = 1 << 3;
    /// Trim is offered.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// Write zeroes is offered.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// Reads can be asked for in one chunk.
    pub const SEND_DF: u16 = 1 << 7;
    /// A flush on one connection covers the writes of all.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    /// A write of zeroes that would not be fast can be asked to fail at once.
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Options.
pub mod option {
    /// Choose an export and begin transmission.
    pub const EXPORT_NAME: u32 = 1;
    /// End the session.
    pub const ABORT: u32 = 2;
    /// List the exports.
    pub const LIST: u32 = 3;
    /// Change to TLS.
    pub const STARTTLS: u32 = 5;
    /// Describe an export.
    pub const INFO: u32 = 6;
    /// Describe an export and begin transmission.
    pub const GO: u32 = 7;
    /// Use structured replies.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// List the metadata contexts of an export.
    pub const LIST_META_CONTEXT: u32 = 9;
    /// Choose the metadata contexts for block status.
    pub const SET_META_CONTEXT: u32 = 10;
}

/// Kinds of replies to options.
pub mod rep {
    /// Done.
    pub const ACK: u32 = 1;
    /// An export's name.
    pub const SERVER: u32 = 2;
    /// A piece of information.
    pub const INFO: u32 = 3;
    /// A metadata context.
    pub const META_CONTEXT: u32 = 4;
    /// The option is not known or not offered.
    pub const ERR_UNSUP: u32 = 0x8000_0001;
    /// The option's data is malformed.
    pub const ERR_INVALID: u32 = 0x8000_0003;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = 0x8000_0006;
    /// The client must ask for the block sizes first.
    pub const ERR_BLOCK_SIZE_REQD: u32 = 0x8000_0008;
    /// The option's data is too long.
    pub const ERR_TOO_BIG: u32 = 0x8000_0009;
}

/// Kinds of information.
pub mod info {
    /// Size and transmission flags.
    pub const EXPORT: u16 = 0;
    /// Canonical name.
    pub const NAME: u16 = 1;
    /// Description for people.
    pub const DESCRIPTION: u16 = 2;
    /// Block size constraints.
    pub const BLOCK_SIZE: u16 = 3;
}

/// Commands.
pub mod cmd {
    /// Read.
    pub const READ: u16 = 0;
    /// Write.
    pub const WRITE: u16 = 1;
    /// Disconnect.
    pub const DISC: u16 = 2;
    /// Flush.
    pub const FLUSH: u16 = 3;
    /// Trim.
    pub const TRIM: u16 = 4;
    /// Write zeroes.
    pub const WRITE_ZEROES: u16 = 6;
    /// Block status.
    pub const BLOCK_STATUS: u16 = 7;
}

/// Command flags.
pub mod flag {
    /// Durable when answered.
    pub const FUA: u16 = 1;
    /// The zeroes must occupy space.
    pub const NO_HOLE: u16 = 1 << 1;
    /// One content chunk.
    pub const DF: u16 = 1 << 2;
    /// One extent per context.
    pub const REQ_ONE: u16 = 1 << 3;
    /// Fail rather than be slow.
    pub const FAST_ZERO: u16 = 1 << 4;
}

/// Flags and kinds of the chunks of structured replies.
pub mod chunk {
    /// Flag: no further chunk answers this request.
    pub const DONE: u16 = 1;
    /// Nothing more to say.
    pub const NONE: u16 = 0;
    /// Data of a read, after its offset.
    pub const OFFSET_DATA: u16 = 1;
    /// Extents of one metadata context.
    pub const BLOCK_STATUS: u16 = 5;
    /// The request failed.
    pub const ERROR: u16 = 0x8001;
    /// The request failed at an offset.
    pub const ERROR_OFFSET: u16 = 0x8002;
}

/// Error values of replies ("Error values").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Errno {
    /// Operation not permitted.
    Perm = 1,
    /// Input/output error.
    Io = 5,
    /// Invalid argument.
    Inval = 22,
    /// No space left on device.
    NoSpace = 28,
    /// Value too large.
    Overflow = 75,
    /// Operation not supported.
    NotSup = 95,
    /// Server is in the process of being shut down.
    Shutdown = 108,
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid | Error::OutOfRange => Self::Inval,
            Error::Denied | Error::ReadOnly => Self::Perm,
            Error::Unsupported => Self::NotSup,
            Error::Medium | Error::Io | Error::TimedOut | Error::Again => Self::Io,
            Error::Offline => Self::Shutdown,
            Error::NoSpace => Self::NoSpace,
        }
    }
}
