// SPDX-License-Identifier: MIT
//! What is in order and yet hardly meant: rights that nothing can use, memory that is mapped where it need not be,
//! priorities by which one protection domain keeps others from running, queues that are too small.
//!
//! A warning never keeps a system from being built. What must not be built is a problem of [`parse`](crate::parse).
use crate::model::System;
use crate::problem::{Problem, Problems};

mod grants;
mod memory;
mod priorities;
mod queues;

/// Every warning about `system`, by place.
pub fn warnings(system: &System) -> Vec<Problem> {
    let mut found = Problems::default();
    grants::check(system, &mut found);
    memory::check(system, &mut found);
    priorities::check(system, &mut found);
    queues::check(system, &mut found);
    found.unless_any(()).err().unwrap_or_default()
}
