// SPDX-License-Identifier: MIT
//! Arrays over arrays in use, as RAID 50 and 60 are: each its own layer, the one a device of the other.
use super::running::{Below, Left, Running, open};
use crate::cat::devices::{Devices, Source};
use crate::cat::{nest, show};
use orion_raid::Uuid;
use std::path::Path;

/// The devices of an array.
fn of(devices: &Devices, set: Uuid) -> impl Iterator<Item = (&str, &Source)> {
    let own = devices.supers.iter().zip(&devices.all).filter(move |(found, _)| found.set == set);
    own.map(|(_, device)| (device.name.as_str(), &device.source))
}

/// The array that is wanted, if it lies on others; it need not be named where all others lie below it, and it can be
/// read.
pub fn over_arrays(devices: &mut Devices, want: Option<Uuid>, force: bool) -> Option<Uuid> {
    let volumes = nest::volumes(devices, force);
    let below = |set: Uuid| of(devices, set).any(|(_, source)| matches!(source, Source::Array(_)));
    let mut tops = volumes.iter().filter(|one| !show::is_below(devices, &volumes, one)).map(|one| one.set);
    let top = match (want, tops.next(), tops.next()) {
        (None, Some(one), None) => one,
        (want, ..) => want?,
    };
    below(top).then_some(top)
}

/// The array `set`, in use, and those that it lies on.
pub fn start(devices: &Devices, set: Uuid, force: bool, left: &Left) -> Result<Running, String> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for (name, source) in of(devices, set) {
        files.push(match source {
            Source::Array(inside) => Below::Array(Box::new(start(devices, inside.set, force, left)?)),
            Source::Image(_, 0) => open(Path::new(name))?,
            Source::Image(..) => return Err(format!("{name}: arrays over partitions are not written here")),
        });
        names.push(name.to_owned());
    }
    Running::over(files, names, Some(set), force, left)
}
