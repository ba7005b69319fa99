// SPDX-License-Identifier: MIT
//! From a PD's configuration to the layer and its memory.
use heapless::Vec;
use orion_block::{Buf, RegionId};
use orion_layer::Payload;
use orion_pd::{InitError, World};
use orion_raid::engine::WORK_BYTES;
use orion_raid::{Raid, Select};
use orion_region::Window;

/// The setting that says which region is the layer's own.
const WORK_REGION: &str = "work_region";
/// With what the setting begins that says which array is meant.
const ARRAY: &str = "array ";
/// The setting that says which level it must have.
pub(crate) const LEVEL: &str = "array_level";
/// Most regions that requests may name.
const REGIONS_MAX: usize = 64;

const UNBUILT: InitError =
    InitError("the configuration gives the array's layer no memory of its own: build the image again");

/// All that is mapped here of what requests may name: the layer's own memory, and its clients' data.
#[derive(Debug)]
pub struct Mapped {
    regions: Vec<Option<Window>, REGIONS_MAX>,
    /// The layer's own.
    work: RegionId,
}

impl Mapped {
    fn at(&self, buf: Buf) -> Option<(&Window, usize)> {
        let window = self.regions.get(usize::from(buf.region.0))?.as_ref()?;
        Some((window, usize::try_from(buf.offset).ok()?))
    }
}

impl Payload for Mapped {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        self.at(from).is_some_and(|(window, offset)| window.copy_out(offset, to))
    }

    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        self.at(to).is_some_and(|(window, offset)| window.copy_in(offset, from))
    }

    fn copy(&mut self, from: Buf, to: Buf, len: usize) -> bool {
        let Some(((own, at), (other, to))) = self.at(from).zip(self.at(to)) else { return false };
        own.copy_to(at, other, to, len)
    }

    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        // Clients' data are shared with the clients.
        let own = self.regions.get_mut(usize::from(at.region.0)).filter(|_| at.region == self.work);
        let offset = usize::try_from(at.offset).ok();
        let lent = own.and_then(Option::as_mut).zip(offset).and_then(|(window, offset)| window.lend(offset, len));
        lent.map(f).is_some()
    }
}

/// The layer over all links on which we are the client, and what is mapped for it.
///
/// # Errors
/// [`InitError`] where the configuration gives it no memory, or that is not mapped.
pub fn assemble<W: World>(world: &mut W) -> Result<(Raid, Mapped), InitError> {
    let config = world.config();
    let work = config.setting(WORK_REGION).and_then(|index| u16::try_from(index).ok()).ok_or(UNBUILT)?;
    let mut mapped: Vec<Option<Window>, REGIONS_MAX> = Vec::new();
    for region in config.regions {
        let window = if region.vaddr.get() == 0 { None } else { world.window(region.vaddr.get()) };
        mapped.push(window).map_err(|_| InitError("more than 64 data regions: have fewer clients of the array"))?;
    }
    let own = mapped.get(usize::from(work)).and_then(Option::as_ref).filter(|own| own.len() >= WORK_BYTES);
    own.ok_or(UNBUILT)?;
    let mut named = config.settings.iter().filter_map(|setting| setting.key.as_str().strip_prefix(ARRAY));
    let select = named.find_map(Select::parse);
    let buf = Buf { region: RegionId(work), offset: 0 };
    let mut raid = Raid::select(select, buf);
    if let Some(level) = config.setting(LEVEL).and_then(|level| i32::try_from(level.cast_signed()).ok()) {
        raid.expect(level);
    }
    Ok((raid, Mapped { regions: mapped, work: RegionId(work) }))
}
