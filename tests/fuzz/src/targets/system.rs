// SPDX-License-Identifier: MIT
//! A description of a system: it becomes a plan or messages, on every board.
use orion_system::plan::Board;
use orion_system::{Options, derive, emit, parse};

/// `system.xml`.
pub fn system(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let system = match parse(text) {
        Ok(system) => system,
        Err(problems) => return assert!(!problems.is_empty(), "refused without a word"),
    };
    for board in Board::ALL {
        for iommu in [false, true] {
            match derive(&system, board, &Options { iommu, ..Options::default() }) {
                Ok(plan) if board != Board::Host => {
                    let emitted = emit::sdf(&plan);
                    assert!(emitted.contains("<system>"));
                }
                Ok(_) => {}
                Err(problems) => assert!(!problems.is_empty(), "refused without a word"),
            }
        }
    }
}
