// SPDX-License-Identifier: MIT
//! System descriptions, good and bad, each with what `orion check` must say about it.
//!
//! `good/*.xml` are in order; `odd/*.xml` too, with warnings; `bad/*.xml` are not. Their first lines are processing instructions for the tests:
//! - `<?board NAME [iommu]?>`: the board they are about; without it a good file is derived for every board, and a bad
//!   file is wrong whatever the board.
//! - `<?quiet WHY?>`: a good file that just misses a warning.
//! - `<?expect LINE:COLUMN: WHAT; REMEDY?>`: one for each message or warning, all of them, in order.
#![forbid(unsafe_code)]
