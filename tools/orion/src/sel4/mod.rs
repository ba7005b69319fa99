// SPDX-License-Identifier: MIT
//! From a system.xml to a bootable Microkit image: derive, emit, build the programs, run the Microkit tool.
use crate::common::SystemArg;
use clap::ValueEnum;
use orion_system::plan::{Board, Plan};
use orion_system::{Options, derive, emit};
use programs::{Programs, Settings, run};
use sdk::Sdk;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use toolchain::Toolchain;

pub mod boot;
pub mod count;
pub mod machine;
mod programs;
mod sdk;
mod section;
mod toolchain;

/// Where everything is built, below the current directory.
pub const BUILD: &str = "build";

/// A board with a Microkit kernel.
#[derive(Clone, Copy, ValueEnum)]
enum BoardName {
    /// QEMU's aarch64 virt machine
    #[value(name = "qemu_virt_aarch64")]
    QemuVirtAarch64,
    /// a PC; QEMU's q35 machine
    #[value(name = "x86_64_generic")]
    X86_64Generic,
}

/// The kernel's configuration.
#[derive(Clone, Copy, ValueEnum)]
enum Config {
    /// the kernel reports faults
    Debug,
    /// the kernel is silent
    Release,
}

impl Config {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// What to build an image from.
#[derive(clap::Args)]
pub struct ImageArgs {
    #[command(flatten)]
    system: SystemArg,
    /// The board
    #[arg(long, value_enum, default_value = "qemu_virt_aarch64")]
    board: BoardName,
    /// The kernel's configuration
    #[arg(long, value_enum, default_value = "release")]
    config: Config,
    /// Put the disks behind an IOMMU (x86_64_generic)
    #[arg(long)]
    iommu: bool,
    /// The Microkit SDK [default: MICROKIT_SDK, then ~/microkit-sdk]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// A checkout of rust-sel4 v5.0.0 [default: RUST_SEL4, then ~/rust-sel4, then its git tag]
    #[arg(long, value_name = "DIR")]
    rust_sel4: Option<PathBuf>,
    /// Where programs of your own are, beside the directory of SYSTEM.XML
    #[arg(long, value_name = "DIR")]
    search_path: Vec<PathBuf>,
    /// The folder of the image and all that it is made from [default: build/BOARD-CONFIG]
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
}

/// An image that was built.
#[derive(Debug)]
pub struct Image {
    /// What it holds.
    pub plan: Plan,
    /// The directory of `loader.img` and all that it was made from.
    pub directory: PathBuf,
}

impl ImageArgs {
    fn board(&self) -> Board {
        match self.board {
            BoardName::QemuVirtAarch64 => Board::QemuVirtAarch64,
            BoardName::X86_64Generic => Board::X86_64Generic,
        }
    }

    /// Builds the image of the system with `options`, in which the IOMMU is ours to set.
    ///
    /// # Errors
    /// What is wrong with the system, or missing on this machine, and what to do.
    pub fn build(&self, options: Options) -> Result<Image, String> {
        let plan = self.plan(&Options { iommu: self.iommu, ..options })?;
        let sdk = Sdk::find(self.sdk.as_deref(), plan.board, self.config.name())?;
        let rust_sel4 = sdk::rust_sel4(self.rust_sel4.as_deref())?;
        let toolchain = Toolchain::find()?;
        let suffix = if self.iommu { "-iommu" } else { "" };
        make(Path::new(BUILD))?;
        let _alone = lock()?;
        let usual = || PathBuf::from(BUILD).join(format!("{}-{}{suffix}", plan.board.name(), self.config.name()));
        let directory = self.output.clone().unwrap_or_else(usual);
        make(&directory)?;
        for (name, bytes) in emit::files(&plan) {
            write(&directory.join(name), &bytes)?;
        }
        write(&directory.join("orion.system"), emit::sdf(&plan).as_bytes())?;
        let settings = Settings {
            build: &absolute(Path::new(BUILD))?,
            board: plan.board,
            config: self.config.name(),
            sdk: &sdk,
            toolchain: &toolchain,
            rust_sel4: rust_sel4.as_deref(),
        };
        self.programs(&plan, &settings, &directory)?;
        self.link(&sdk, plan.board, &directory)?;
        Ok(Image { plan, directory })
    }

    fn plan(&self, options: &Options) -> Result<Plan, String> {
        let board = self.board();
        if options.iommu && board != Board::X86_64Generic {
            return Err(format!("--iommu: {} has no IOMMU that seL4 drives; leave it out", board.name()));
        }
        let system = self.system.parsed()?;
        derive(&system, board, options).map_err(|problems| self.system.message(&problems))
    }

    /// Directories in which the user's own programs are looked for.
    fn own_directories(&self) -> Vec<PathBuf> {
        let parent = self.system.system.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        [parent.to_owned()].into_iter().chain(self.search_path.iter().cloned()).collect()
    }

    /// Builds those programs of the plan that are ours into `directory`.
    fn programs(&self, plan: &Plan, settings: &Settings<'_>, directory: &Path) -> Result<(), String> {
        let programs = Programs::find()?;
        let own = self.own_directories();
        let mut needed = BTreeSet::new();
        for pd in &plan.pds {
            if let Some(found) = own.iter().map(|d| d.join(&pd.image)).find(|file| !pd.derived && file.is_file()) {
                if !pd.sections.is_empty() {
                    // Nearest in the Microkit tool's search path, so this copy is the one that it takes.
                    section::fill(&found, &directory.join(&pd.image), &pd.sections)?;
                }
                continue;
            }
            if !programs.has(&pd.program) || pd.image != format!("{}.elf", pd.program) {
                let looked: Vec<_> = own.iter().map(|d| d.display().to_string()).collect();
                return Err(format!(
                    "the program {} of the PD {:?} is neither one of Orion's nor in {}; build it, and name its directory with --search-path",
                    pd.image,
                    pd.name,
                    looked.join(", ")
                ));
            }
            needed.insert(pd.program.as_str());
        }
        let needed: Vec<&str> = needed.into_iter().collect();
        let (built, suffix) = programs.build(&needed, settings)?;
        for program in needed {
            section::keep_data(&built.join(format!("{program}{suffix}")), &directory.join(format!("{program}.elf")))?;
        }
        Ok(())
    }

    /// Runs the Microkit tool. On x86-64 it writes the kernel beside the image.
    fn link(&self, sdk: &Sdk, board: Board, directory: &Path) -> Result<(), String> {
        let directory = absolute(directory)?;
        let mut tool = Command::new(sdk.tool());
        tool.arg(directory.join("orion.system")).args(["--board", board.name(), "--config", self.config.name()]);
        tool.arg("-o").arg(directory.join("loader.img")).arg("-r").arg(directory.join("report.txt"));
        tool.arg("--search-path").arg(&directory);
        for own in self.own_directories() {
            tool.arg("--search-path").arg(absolute(&own)?);
        }
        tool.env("MICROKIT_SDK", &sdk.root).current_dir(&directory);
        let system = directory.join("orion.system");
        run(&mut tool, &format!("the Microkit tool refused {}; its message above says why", system.display()))
    }
}

/// Waits until nobody else builds here: all images share the directory of the programs.
fn lock() -> Result<fs::File, String> {
    let path = Path::new(BUILD).join("sel4.lock");
    let file = fs::File::create(&path).and_then(|file| file.lock().map(|()| file));
    file.map_err(|error| format!("{}: cannot be locked: {error}", path.display()))
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("{}: {error}; name a directory that exists", path.display()))
}

fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: cannot be made: {error}", directory.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: cannot be written: {error}", path.display()))
}
