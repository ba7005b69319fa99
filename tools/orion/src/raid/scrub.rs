// SPDX-License-Identifier: MIT
//! `orion raid check` and `repair`: all copies are compared, or parity with the data.
use super::Members;
use super::running::Running;
use crate::Outcome;
use orion_raid::engine::{Finding, Mend};
use std::process::ExitCode;

/// Compares, mends as far as `mend` says, and tells what was found. Fails where something is left that differs.
pub fn check(members: &Members, mend: Mend) -> Outcome {
    let mut array = Running::start(&members.images, members.uuid, members.force)?;
    array.stop()?;
    let differing = array.check(mend)?;
    println!("mismatch_cnt {differing}");
    // Of an array over others also what these found.
    let all = array.all();
    let judged = all.iter().map(|(_, one)| one.layer().judged());
    let (known, unknown) = judged.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    let left = match mend {
        Mend::Nothing => differing,
        Mend::Certain => unknown,
        Mend::Everything => 0,
    };
    let mut told = 0;
    for (name, one) in &all {
        for finding in one.layer().findings() {
            told += finding.sectors;
            eprintln!("{name}{}", line(&finding, mend));
        }
    }
    if known + unknown > told {
        eprintln!("... and {} sectors more", known + unknown - told);
    }
    eprintln!("{}{}", if mend == Mend::Nothing { "checked" } else { "repaired" }, array.state());
    if left > 0 {
        eprintln!("{}", advice(known, mend));
    }
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to be said of sectors that differ.
fn line(finding: &Finding, mend: Mend) -> String {
    let &Finding { wrong, sector, sectors } = finding;
    let last = sector.saturating_add(sectors - 1);
    let place = if sectors > 1 { format!("sectors {sector} to {last}") } else { format!("sector {sector}") };
    match (wrong, mend) {
        (Some(member), Mend::Nothing) => format!("{place} of member {member}'s data: wrong"),
        (Some(member), _) => format!("{place} of member {member}'s data: wrong, and mended"),
        (None, Mend::Everything) => format!("{place} of the members' data: differed, and made alike"),
        (None, _) => format!("{place} of the members' data: differ, and nobody can know whose is right"),
    }
}

fn advice(known: u64, mend: Mend) -> &'static str {
    match mend {
        Mend::Nothing if known > 0 => "`orion raid repair` mends what is known to be wrong",
        _ => {
            "`orion raid repair --all` makes alike what differs, as Linux does: parity like the data, copies like the first"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_in_words() {
        let finding = |wrong, sectors| Finding { wrong, sector: 7, sectors };
        assert_eq!(line(&finding(Some(2), 1), Mend::Nothing), "sector 7 of member 2's data: wrong");
        assert_eq!(line(&finding(Some(2), 3), Mend::Certain), "sectors 7 to 9 of member 2's data: wrong, and mended");
        let unknown = "sector 7 of the members' data: differ, and nobody can know whose is right";
        assert_eq!(line(&finding(None, 1), Mend::Certain), unknown);
    }
}
