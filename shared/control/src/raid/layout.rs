// SPDX-License-Identifier: MIT
//! mdadm's words for the layouts of RAID 5 and 6. A word means the same number in both.

const RAID5: [&str; 6] =
    ["left-asymmetric", "right-asymmetric", "left-symmetric", "right-symmetric", "parity-first", "parity-last"];
const DDF: [&str; 3] = ["ddf-zero-restart", "ddf-N-restart", "ddf-N-continue"];

/// The number of a layout; `None` where there is none of that name.
pub fn layout(name: &str) -> Option<u32> {
    let find =
        |list: &[&str], name: &str| list.iter().position(|known| *known == name).and_then(|at| u32::try_from(at).ok());
    let apart = || find(&RAID5, name.strip_suffix("-6")?).filter(|at| *at < 5).map(|at| 16 + at);
    find(&RAID5, name).or_else(|| find(&DDF, name).map(|at| 8 + at)).or_else(apart)
}
