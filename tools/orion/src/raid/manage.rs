// SPDX-License-Identifier: MIT
//! `orion raid add`, `re-add`, `fail` and `remove`: which images an array has.
use super::{Members, create, running::Running};
use crate::Outcome;
use orion_raid::engine::Refusal;
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

/// A refusal that names the image instead of its number.
fn named(refusal: &Refusal, port: u8, device: &Path) -> String {
    let number = format!("device {port}");
    refusal.to_string().replacen(&number, &device.display().to_string(), 1)
}
