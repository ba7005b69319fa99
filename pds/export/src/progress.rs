// SPDX-License-Identifier: MIT
//! A connection's requests on their way to the volume and back.
use crate::connection::{Connection, Life, Reply};
use crate::job::{Job, Part, Stage};
use crate::terms::Terms;
use orion_block::{Error, Op};
use orion_nbd::{Command, Errno, Head, Request};
use orion_pd::Instant;
use orion_ring::{Answer, Submission};

/// How often a part is tried again before its failure is reported.
const TRIES: u8 = 100;
/// Nanoseconds between tries.
const PAUSE: u64 = 1_000_000;

impl Connection {
    /// Takes a request from the stream. Only while there is [room](Self::has_room).
    pub(crate) fn take(&mut self, request: &Request, terms: &Terms) {
        if request.command == Command::BlockStatus {
            self.reply(Head::allocated(request.cookie, request.len));
            return;
        }
        let job = self.jobs.insert(Job::new(request, terms));
        if request.command == Command::Flush {
            job.into_iter().for_each(|id| self.settle(id));
        } else {
            self.current = job;
        }
    }

    /// Makes the parts of the current request as far as there are slots and buffers. Whether the stream may be read on:
    /// all parts are made, or a write's next buffer is ready.
    pub(crate) fn expand(&mut self, terms: &Terms) -> bool {
        while let Some(id) = self.current {
            let Some(job) = self.jobs.get(id) else {
                self.current = None;
                break;
            };
            // A long read with a simple reply has the connection for itself: its data leaves in order, part by part.
            let alone = job.streams && job.is_read() && !self.session.structured();
            if alone && (self.jobs.len() > 1 || job.covered == job.len) {
                return false;
            }
            if self.filling.is_some() {
                return true;
            }
            if job.covered == job.len {
                self.current = None;
            } else if !self.make_part(id, terms) {
                return false;
            }
        }
        true
    }

    fn make_part(&mut self, id: u8, terms: &Terms) -> bool {
        let Some(job) = self.jobs.get_mut(id).filter(|_| !self.parts.is_full()) else {
            return false;
        };
        let op = job.op();
        let most = if op.has_payload() { terms.part } else { terms.bulk };
        let len = job.len.saturating_sub(job.covered).min(most);
        let run = if op.has_payload() {
            let Some(run) = self.arena.take(len as usize) else {
                return false;
            };
            Some(run)
        } else {
            None
        };
        let part =
            Part { fua: job.fua, offset: job.offset.saturating_add(job.covered.into()), len, run, ..Part::new(id, op) };
        job.covered = job.covered.saturating_add(len);
        self.add(part);
        true
    }

    /// Adds a part; there is a free slot.
    fn add(&mut self, part: Part) {
        let (job, op) = (part.job, part.op);
        let Some(id) = self.parts.insert(part) else { return };
        if let Some(job) = self.jobs.get_mut(job) {
            job.open = job.open.saturating_add(1);
        }
        match op {
            Op::Write => self.filling = Some(id),
            _ => self.stage(id),
        }
        if op == Op::Read && !self.session.structured() {
            self.chain(job, id);
        }
    }

    /// Appends a part to its job's chain.
    fn chain(&mut self, job: u8, id: u8) {
        let Some(job) = self.jobs.get_mut(job) else { return };
        let (first, last) = job.chain.unwrap_or((id, id));
        job.chain = Some((first, id));
        if let Some(last) = self.parts.get_mut(last).filter(|_| last != id) {
            last.next = Some(id);
        }
    }

    /// A part is ready for the ring.
    pub(crate) fn stage(&mut self, id: u8) {
        // As many places as there are slots.
        let _ = self.staged.push_back(id);
    }

    /// The next request for the ring.
    pub(crate) fn submit(&mut self, terms: &Terms) -> Option<Submission> {
        let id = self.staged.pop_front()?;
        let part = self.parts.get_mut(id)?;
        part.stage = Stage::InFlight;
        Some(Submission {
            id: id.into(),
            op: part.op,
            fua: part.fua,
            block: part.offset >> terms.shift,
            count: u16::try_from(part.len >> terms.shift).unwrap_or(0),
            address: part.run.map_or(0, |run| self.arena.offset(run) as u64),
        })
    }

    /// Stages the parts that were to be tried again by now.
    pub(crate) fn retry(&mut self, now: Instant) -> bool {
        let due = !self.again.is_empty() && self.again_at <= now;
        for _ in 0..if due { self.again.len() } else { 0 } {
            let id = self.again.pop_front();
            id.into_iter().for_each(|id| self.stage(id));
        }
        due
    }

    /// The volume's answer to part `id`; whether it was asked.
    pub(crate) fn answered(&mut self, id: u8, answer: &Answer, terms: &Terms, now: Instant) -> bool {
        let Some(part) = self.parts.get_mut(id).filter(|part| part.stage == Stage::InFlight) else {
            return false;
        };
        let job = part.job;
        if self.life == Life::Dead {
            self.drop_part(id);
        } else if answer.status == Err(Error::Again) && part.tries < TRIES {
            part.tries += 1;
            part.stage = Stage::Held;
            self.again_at = now.after(PAUSE);
            let _ = self.again.push_back(id);
        } else {
            part.stage = Stage::Read;
            let done = u64::from(answer.blocks) << terms.shift;
            self.finish_part(id, job, answer.status, done);
            self.settle(job);
        }
        true
    }

    fn finish_part(&mut self, id: u8, job_id: u8, status: orion_block::Status, done: u64) {
        let structured = self.session.structured();
        let (Some(part), Some(job)) = (self.parts.get_mut(id), self.jobs.get_mut(job_id)) else {
            return;
        };
        job.open = job.open.saturating_sub(1);
        match status {
            Err(error) => {
                let last = u64::from(part.len.saturating_sub(1));
                job.fail(job.errno(error), part.offset.saturating_add(done.min(last)));
                let unchained = structured || !job.is_read();
                if self.current == Some(job_id) {
                    self.stop_receiving();
                }
                if unchained {
                    self.drop_part(id);
                }
            }
            Ok(()) if !job.is_read() => self.drop_part(id),
            Ok(()) if structured => {
                let last = job.complete() && job.failed.is_none();
                part.head = Some(Head::data(job.cookie, part.offset, part.len, last));
                let _ = self.replies.push_back(Reply::Data(id));
            }
            Ok(()) => {}
        }
    }

    /// Gives up the write whose payload has not come whole. Between two of its buffers that is one which has failed
    /// already: the stream is read only while there is a buffer.
    pub(crate) fn stop_receiving(&mut self) {
        self.session.drop_payload();
        let (Some(part), Some(id)) = (self.filling.take(), self.current) else {
            return;
        };
        self.drop_part(part);
        if let Some(job) = self.jobs.get_mut(id) {
            job.open = job.open.saturating_sub(1);
            // A failure that is already noted stays.
            job.fail(Errno::Inval, u64::MAX);
            self.settle(id);
        }
    }

    /// Answers a request that has come to its end.
    fn settle(&mut self, id: u8) {
        let structured = self.session.structured();
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.failed.is_some() && job.committed {
            // "NBD_CMD_READ": an error after the reply's head can only be told by disconnecting.
            self.kill();
            return;
        }
        let complete = job.complete();
        if job.failed.is_none() && job.is_read() && !structured {
            self.queue_chain(id, complete);
        }
        let Some(job) = self.jobs.get_mut(id).filter(|_| complete) else {
            return;
        };
        if job.flush && job.failed.is_none() {
            job.flush = false;
            self.add(Part::new(id, Op::Flush));
            return;
        }
        self.finish(id, structured);
    }

    fn finish(&mut self, id: u8, structured: bool) {
        let Some(job) = self.jobs.remove(id) else { return };
        if self.current == Some(id) {
            self.current = None;
        }
        let mut rest = job.chain.map(|(first, _)| first);
        while let Some(part) = rest {
            rest = self.parts.get(part).and_then(|part| part.next);
            self.drop_part(part);
        }
        if !job.is_read() || job.failed.is_some() {
            self.reply(job.answer(structured));
        }
    }

    /// Queues the data of a read with a simple reply: when it is complete, or as it comes where it is too long to be held.
    fn queue_chain(&mut self, id: u8, complete: bool) {
        let Some(job) = self.jobs.get_mut(id).filter(|job| complete || job.streams) else {
            return;
        };
        while let Some((first, last)) = job.chain {
            let Some(part) = self.parts.get_mut(first).filter(|part| part.stage == Stage::Read) else {
                break;
            };
            if !job.committed {
                part.head = Some(Head::simple(job.cookie, Ok(())));
                job.committed = true;
            }
            job.chain = part.next.map(|next| (next, last));
            let _ = self.replies.push_back(Reply::Data(first));
        }
    }
}
