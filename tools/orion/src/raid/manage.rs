// SPDX-License-Identifier: MIT
//! `orion raid add`, `re-add`, `replace`, `fail` and `remove`: which images an array has.
use super::{Members, create, running::Running};
use crate::Outcome;
use orion_raid::engine::{Refusal, Use};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is to be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It becomes a spare, and is rebuilt where a member is missing.
    Add,
    /// It was a member, and gets what the bitmap says that it lacks.
    ReAdd,
    /// It is left behind.
    Fail,
    /// A spare is one no more.
    Remove,
}

#[derive(clap::Args)]
pub struct Args {
    /// The image that it is about
    #[arg(long, value_name = "IMAGE")]
    device: PathBuf,
    #[command(flatten)]
    members: Members,
}

impl Args {
    /// Follows the order, and brings the array up to date.
    pub fn run(self, order: Order) -> Outcome {
        let Self { device, members } = self;
        let mut images = members.images;
        let port = images.iter().position(|image| *image == device).unwrap_or_else(|| {
            images.push(device.clone());
            images.len() - 1
        });
        let port = u8::try_from(port).map_err(|_| "give fewer images".to_owned())?;
        let uuid = create::random()?;
        let mut array = Running::start(&images, members.uuid, members.force)?;
        let begun = array.control(|raid, io| match order {
            Order::Add => raid.add(port, uuid, io),
            Order::ReAdd => raid.re_add(port, io),
            Order::Fail => raid.set_faulty(port, io),
            Order::Remove => raid.remove(port, io),
        });
        begun.unwrap_or(Err(Refusal::Fixed)).map_err(|refusal| named(&refusal, port, &device))?;
        array.stop()?;
        array.outcome().map_err(|refusal| named(&refusal, port, &device))?;
        let done = match order {
            Order::Add => "added",
            Order::ReAdd => "added again",
            Order::Fail => "left behind",
            Order::Remove => "removed",
        };
        eprintln!("{}: {done}{}", device.display(), array.state());
        Ok(ExitCode::SUCCESS)
    }
}

/// Arguments of `orion raid replace`.
#[derive(clap::Args)]
pub struct Replace {
    /// The image that takes its place: a spare, or one that is added first; what is on it is lost. Without it, any spare
    #[arg(long, value_name = "IMAGE")]
    with: Option<PathBuf>,
    /// Stop when so many KiB of each member are copied; Orion and Linux go on
    #[arg(long, value_name = "KIB")]
    stop_at: Option<u64>,
    #[command(flatten)]
    args: Args,
}

impl Replace {
    /// Has a member replaced, and brings the array up to date.
    pub fn run(self) -> Outcome {
        let Self { with, stop_at, args: Args { device, members } } = self;
        let mut images = members.images;
        let mut port = |path: &PathBuf| {
            let at = images.iter().position(|image| image == path).unwrap_or_else(|| {
                images.push(path.clone());
                images.len() - 1
            });
            u8::try_from(at).map_err(|_| "give fewer images".to_owned())
        };
        let (old, new) = (port(&device)?, with.as_ref().map(&mut port).transpose()?);
        let uuid = create::random()?;
        let mut array = Running::start(&images, members.uuid, members.force)?;
        let name = |refusal: Refusal| {
            let new = new.zip(with.as_ref()).filter(|(at, _)| refusal.port() == Some(*at));
            new.map_or_else(|| named(&refusal, old, &device), |(at, path)| named(&refusal, at, path))
        };
        if let Some(port) = new.filter(|port| array.layer().use_of(*port) == Use::Nothing) {
            array.control(|raid, io| raid.add(port, uuid, io)).unwrap_or(Err(Refusal::Fixed)).map_err(name)?;
            array.stop()?;
            array.outcome().map_err(name)?;
        }
        let begun = array.control(|raid, io| raid.replace(old, new, io));
        begun.unwrap_or(Err(Refusal::Fixed)).map_err(name)?;
        if let Some(kib) = stop_at {
            let done = array.stop_after("replace", kib.saturating_mul(2))?;
            array.outcome().map_err(name)?;
            eprintln!("stopped: {done} sectors of each member are copied");
            return Ok(ExitCode::SUCCESS);
        }
        array.stop()?;
        array.outcome().map_err(name)?;
        eprintln!("{}: replaced, and left behind{}", device.display(), array.state());
        Ok(ExitCode::SUCCESS)
    }
}

/// A refusal that names the image instead of its number.
fn named(refusal: &Refusal, port: u8, device: &Path) -> String {
    let number = format!("device {port}");
    refusal.to_string().replacen(&number, &device.display().to_string(), 1)
}
