// SPDX-License-Identifier: MIT
//! The chain: each record holds the hash of the one before it and, last, its own.
use crate::wire::{Bytes, HASH, MAGIC, RECORD, Wire};
use core::fmt;
use core::str::FromStr;
use sha2::{Digest, Sha256};

/// Bytes of a record that its hash is of.
const HASHED: usize = RECORD - HASH;

/// The end of a chain: all that is needed to go on with it, and what tells later that nothing was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Records of the chain.
    pub records: u64,
    /// The hash of the last one; zeroes where there is none.
    pub hash: [u8; HASH],
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These bytes are no record.
    NoRecord,
    /// The record does not have the content that it was written with.
    Edited,
    /// Another record, whole, stands in its place: that of this number.
    Moved(u64),
    /// It is whole and of the right number, but follows another record than the one before it: that one was replaced, or
    /// this one comes of another chain.
    Spliced,
    /// Something stands behind the end of the chain.
    AfterEnd,
    /// The chain ends here, and had so many records.
    Truncated(u64),
    /// The chain has as many records as it should, and its last one is another.
    OtherHead,
}

impl Head {
    /// Makes `record` the next one of the chain.
    pub fn link(&mut self, record: &mut Bytes) {
        let mut wire: Wire = zerocopy::transmute!(*record);
        (wire.sequence, wire.previous) = (self.records.into(), self.hash);
        *record = zerocopy::transmute!(wire);
        wire.hash = hash(record);
        *record = zerocopy::transmute!(wire);
        *self = Self { records: self.records.saturating_add(1), hash: wire.hash };
    }

    /// The head with `record` behind it.
    ///
    /// # Errors
    /// [`Fault`]: it is not the next one.
    pub fn follow(&self, record: &Bytes) -> Result<Self, Fault> {
        let next = Self::of(record)?;
        let wire: Wire = zerocopy::transmute!(*record);
        if wire.sequence.get() != self.records {
            return Err(Fault::Moved(wire.sequence.get()));
        }
        if wire.previous != self.hash { Err(Fault::Spliced) } else { Ok(next) }
    }

    /// The head of a chain that ends with `record`.
    ///
    /// # Errors
    /// [`Fault::NoRecord`], [`Fault::Edited`].
    pub fn of(record: &Bytes) -> Result<Self, Fault> {
        let wire: Wire = zerocopy::transmute!(*record);
        if wire.magic != MAGIC {
            return Err(Fault::NoRecord);
        }
        let records = wire.sequence.get().checked_add(1).ok_or(Fault::NoRecord)?;
        if wire.hash != hash(record) { Err(Fault::Edited) } else { Ok(Self { records, hash: wire.hash }) }
    }
}

fn hash(record: &Bytes) -> [u8; HASH] {
    Sha256::digest(record.get(..HASHED).unwrap_or_default()).into()
}

/// `RECORDS:HASH`, to be kept elsewhere and compared later.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.records)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Head {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (records, digits) = text.split_once(':').ok_or(())?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(()) };
        let mut hash = [0; HASH];
        if pairs.len() != HASH {
            return Err(());
        }
        for (to, pair) in hash.iter_mut().zip(pairs) {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *to = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low).ok_or(())?;
        }
        Ok(Self { records: records.parse().map_err(|_| ())?, hash })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("what stands there is no record: it was overwritten or cut out"),
            Self::Edited => f.write_str("edited: its content does not have its hash"),
            Self::Moved(found) => {
                write!(f, "in its place stands record {found}: records were reordered, removed or repeated")
            }
            Self::Spliced => f.write_str(
                "spliced: it does not follow the record before it, which was replaced, or it comes of another chain",
            ),
            Self::AfterEnd => f.write_str("behind the end of the chain stands something: a record was cut out"),
            Self::Truncated(records) => write!(f, "truncated: the chain had {records} records"),
            Self::OtherHead => f.write_str("it is not the record that was last: the chain was written anew"),
        }
    }
}
