// SPDX-License-Identifier: MIT
//! `orion run --audit`: the launcher keeps the gatekeeper's records in a file, where the system has no extent for them.
use crate::regions::{Mapped, Region};
use orion_audit::extent::Scan;
use orion_audit::{Bytes, Consumer, Head, RECORD};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// A file of records, at its end.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    head: Head,
}

impl AuditFile {
    /// Opens the file to go on with its chain, or makes a new one.
    ///
    /// # Errors
    /// A message for people: what is there is no whole chain, and is left as it is.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let say = |error| format!("--audit: {shown}: {error}; name a file for the audit records");
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(path).map_err(say)?;
        let size = file.metadata().map_err(say)?.len();
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let mut scan = Scan::default();
        for _ in 0..size / RECORD as u64 {
            let mut record: Bytes = [0; RECORD];
            reader.read_exact(&mut record).map_err(say)?;
            scan.place(&record);
        }
        if let Some((at, fault)) = scan.fault() {
            return Err(format!("--audit: {shown}: record {at}: {fault}; keep it as it is and name another file"));
        }
        let head = scan.head();
        // What was cut off while it was written was told to nobody.
        file.set_len(head.records.saturating_mul(RECORD as u64)).map_err(say)?;
        Ok(Self { path: path.to_owned(), file, head })
    }

    /// Begins to keep the records of the ring in these regions. To be called before the gatekeeper starts.
    ///
    /// # Errors
    /// The regions cannot be mapped.
    pub fn keep(self, records: &Region, taken: &Region) -> Result<Kept, String> {
        let say = |error| format!("the audit's regions cannot be mapped: {error}");
        let map = |region: &Region, write| Mapped::new(region.file(write), None, region.size, write).map_err(say);
        let ring = Consumer::attach(map(records, false)?.window(), map(taken, true)?.window());
        let mut ring = ring.ok_or("the audit's regions are too small: build the plan again")?;
        let _at_its_start = ring.resume(self.head, u64::MAX);
        Ok(Kept { file: self, ring, failed: false })
    }
}

/// A file to which records are appended as they come.
#[derive(Debug)]
pub struct Kept {
    file: AuditFile,
    ring: Consumer,
    failed: bool,
}

impl Kept {
    /// Appends what is there. Says once, on standard error, what keeps it from that: records then stay in the ring.
    pub fn drain(&mut self) {
        while !self.failed && self.ring.pending() {
            if let Err(why) = self.append() {
                eprintln!("--audit: {}: {why}; no records are kept any more", self.file.path.display());
                self.failed = true;
                self.ring.stop();
            }
        }
    }

    fn append(&mut self) -> Result<(), String> {
        let mut bytes = Vec::new();
        let (mut head, mut count) = (self.file.head, 0);
        while let Some(record) = self.ring.peek(count) {
            head = head.follow(&record).map_err(|fault| format!("a record of the gatekeeper: {fault}"))?;
            bytes.extend_from_slice(&record);
            count += 1;
        }
        if count == 0 {
            return Err("the gatekeeper's count of records makes no sense".to_owned());
        }
        self.file.file.write_all(&bytes).map_err(|error| error.to_string())?;
        self.file.file.sync_data().map_err(|error| error.to_string())?;
        self.file.head = head;
        self.ring.take(count);
        Ok(())
    }
}
