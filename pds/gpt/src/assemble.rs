// SPDX-License-Identifier: MIT
//! From a PD's configuration to the layer and its memory.
use orion_block::{Buf, RegionId};
use orion_gpt::{Partitions, SCRATCH_BYTES, Select};
use orion_layer::Payload;
use orion_pd::config::Role;
use orion_pd::{InitError, World};
use orion_region::Window;

/// The setting that says which region the table is read into.
const TABLE_REGION: &str = "table_region";
/// The setting that says how many milliseconds reading the table may take.
const PATIENCE: &str = "table_ms";

const UNBUILT: InitError =
    InitError("the configuration does not say where a partition table goes: build the image again");
const UNNAMED: InitError =
    InitError("a client's partition is not named: build the image and its configuration together");

/// The one region that is mapped: where the device puts the table.
#[derive(Debug)]
pub struct Scratch {
    region: RegionId,
    window: Window,
}

impl Payload for Scratch {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let offset = usize::try_from(from.offset).ok().filter(|_| from.region == self.region);
        offset.is_some_and(|offset| self.window.copy_out(offset, to))
    }

    /// The layer only reads it.
    fn write(&mut self, _: Buf, _: &[u8]) -> bool {
        false
    }
}

/// The layer with a client for each link on which we are the server, and the memory that it reads the table into.
///
/// # Errors
/// [`InitError`] where the configuration does not name each client's partition, or the memory is not mapped.
pub fn assemble<W: World>(world: &mut W) -> Result<(Partitions, Scratch), InitError> {
    let config = world.config();
    let table = config.settings.iter().find(|s| s.key.as_str() == TABLE_REGION).ok_or(UNBUILT)?;
    let index = usize::try_from(table.value.get()).map_err(|_| UNBUILT)?;
    let record = config.regions.get(index).filter(|r| r.bus.get() != 0).ok_or(UNBUILT)?;
    let window = world.window(record.vaddr.get()).filter(|w| w.len() >= SCRATCH_BYTES).ok_or(UNBUILT)?;
    let region = RegionId(record.id.get());
    let mut layer = Partitions::new(Buf { region, offset: 0 });
    if let Some(ms) = config.setting(PATIENCE) {
        layer.give_up_after(ms.saturating_mul(1_000_000));
    }
    for (number, _) in (0_u64..).zip(config.links_as(Role::Server)) {
        let mut own = config.settings.iter().filter(|s| s.value.get() == number);
        let select = own.find_map(|s| Select::parse(s.key.as_str())).ok_or(UNNAMED)?;
        if !layer.add(select) {
            return Err(InitError("more than 62 partitions of one disk: Microkit has no more channels"));
        }
    }
    Ok((layer, Scratch { region, window }))
}
