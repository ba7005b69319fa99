// SPDX-License-Identifier: MIT
//! `orion run`: its arguments, and what they mean.
use crate::arrays;
use crate::audit::AuditFile;
use crate::disks::{self, DiskArg};
use crate::events::Output;
use crate::exports::{self, Bound, ExportArg};
use crate::programs::Program;
use crate::qemu::Image;
use crate::run::{self, Manner};
use crate::start::Setup;
use crate::sys::Cpus;
use orion_system::AUDIT_RECORDS;
use orion_system::model::AUDITOR;
use orion_system::plan::{Board, Disk, Plan};
use orion_system::{Export, Options};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The PD that faces operators.
const MANAGER: &str = "manager";

/// Arguments of `orion run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The system description
    #[arg(default_value = "system.xml", value_name = "SYSTEM.XML")]
    pub system: PathBuf,
    /// The file behind a disk; without it, a sparse file under build/
    #[arg(long = "disk", value_name = "NAME=FILE[,size=64M][,aio=threads|native]")]
    pub disks: Vec<DiskArg>,
    /// End the system after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Print one line of JSON per event
    #[arg(long)]
    pub json: bool,
    /// Processors for everything that runs: `0,1`, `0-3` or `all`. One is best: a data path that crosses processors
    /// pays for it in wake-ups [default: one]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// Let the demo write to disks named by --disk: their content in its grant is lost
    #[arg(long)]
    pub demo: bool,
    /// Serve a volume over NBD, and keep running until told to stop
    #[arg(long = "export", value_name = "VOLUME=nbd:unix:PATH|nbd:tcp:PORT")]
    pub exports: Vec<ExportArg>,
    /// Where the manager of system.xml listens for `orion status`, `orion top` and `orion ctl`
    /// [default: build/orion.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where the manager also listens for who may look and change nothing (`orion status`, `orion top`): the user who runs this,
    /// and the group of the socket's file
    #[arg(long, value_name = "PATH")]
    pub look: Option<PathBuf>,
    /// Keep the audit records in a file, where system.xml has no <orion:audit>; an existing one is gone on with
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,
    /// A setting for every client, such as `bench_op=1` for the demo
    #[arg(long = "set", value_name = "KEY=NUMBER", value_parser = setting)]
    pub settings: Vec<(String, u64)>,
    /// A time or limit of the supervisor, such as `restarts=3` (docs/supervisor.md lists them)
    #[arg(long = "supervise", value_name = "KEY=NUMBER", value_parser = setting)]
    pub supervise: Vec<(String, u64)>,
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("`{text}` is no setting; write KEY=NUMBER");
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)?;
    if key == "writes" {
        return Err("`writes` follows from --disk and --demo; use --demo to let the demo write".to_owned());
    }
    Ok((key.to_owned(), value.parse().map_err(|_| wrong())?))
}

impl RunArgs {
    /// Runs the system with `programs`. Call it from the main thread, while there is no other. Whether everything
    /// went well.
    ///
    /// # Errors
    /// A message for people, where it cannot be started.
    pub fn run(&self, programs: Vec<Program>) -> Result<bool, String> {
        self.check_repeats()?;
        let plan = self.plan()?;
        let audit = self.audit_file(&plan)?;
        let images = self.images(&plan)?;
        let cpus = self.cpus()?;
        let limit = self.limit()?;
        let mut bound = BTreeMap::new();
        for export in &self.exports {
            bound.insert(format!("export_{}", export.volume), export.address.listen()?);
        }
        let manager = self.manager(&plan)?;
        let summary = self.summary(&plan, &bound, manager.as_ref().map(|(path, _)| path));
        let manager = manager.into_iter().map(|(_, bound)| (MANAGER.to_owned(), bound));
        let look = self.look(&plan)?.into_iter().map(|bound| (MANAGER.to_owned(), bound));
        // The manager's first is the one by which everything may be asked.
        let (listeners, sweepers) = split(bound.into_iter().chain(manager).chain(look));
        let manner = Manner { limit, stay: !self.exports.is_empty(), output: Output { json: self.json } };
        let result = run::run(Setup { plan, images, listeners, cpus, programs, audit }, manner, &summary);
        drop(sweepers);
        result
    }

    fn check_repeats(&self) -> Result<(), String> {
        let repeated = |names: Vec<&String>| {
            let mut seen = BTreeSet::new();
            names.into_iter().find(|name| !seen.insert(*name)).cloned()
        };
        if let Some(name) = repeated(self.disks.iter().map(|disk| &disk.name).collect()) {
            return Err(format!("--disk: disk `{name}` is given two files; give it one"));
        }
        if let Some(name) = repeated(self.exports.iter().map(|export| &export.volume).collect()) {
            return Err(format!("--export: `{name}` is exported twice; export it once, clients can share it"));
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan, String> {
        let shown = self.system.display();
        let text = std::fs::read_to_string(&self.system).map_err(|error| {
            format!("{shown}: cannot be read: {error}; name a system description, as in `orion run system.xml`")
        })?;
        let options = Options {
            exports: self.exports.iter().map(|export| Export { volume: export.volume.clone() }).collect(),
            // Files of the user's own are only read, unless he says so.
            demo_writes: self.demo || self.disks.is_empty(),
            audit: self.audit.is_some(),
            client_settings: self.settings.iter().cloned().collect(),
            supervisor_settings: self.supervise.iter().cloned().collect(),
            ..Options::default()
        };
        orion_system::plan(&text, Board::Host, &options)
            .map_err(|problems| orion_system::report(&shown.to_string(), &problems))
    }

    fn audit_file(&self, plan: &Plan) -> Result<Option<AuditFile>, String> {
        let Some(path) = &self.audit else { return Ok(None) };
        let shown = self.system.display();
        if plan.pds.iter().any(|pd| pd.name == AUDITOR) {
            let remedy = "leave out --audit, and look at the disk with `orion audit show`";
            return Err(format!("--audit: {shown} keeps the records in an extent of its own; {remedy}"));
        }
        if plan.regions.iter().all(|region| region.name != AUDIT_RECORDS) {
            return Err(format!("--audit: {shown} has no disks, and so no gatekeeper that could refuse anything"));
        }
        AuditFile::open(path).map(Some)
    }

    fn images(&self, plan: &Plan) -> Result<BTreeMap<String, Image>, String> {
        for arg in &self.disks {
            if plan.disks.iter().all(|disk| disk.name != arg.name) {
                let names: Vec<&str> = plan.disks.iter().map(|disk| disk.name.as_str()).collect();
                let (name, shown) = (&arg.name, self.system.display());
                return Err(format!("--disk: {shown} has no disk `{name}`; it has: {}", names.join(", ")));
            }
        }
        let arg = |name: &str| self.disks.iter().find(|arg| arg.name == name);
        let of_another = |disk: &&Disk| disk.file_of() != disk.name && arg(&disk.name).is_some();
        if let Some(disk) = plan.disks.iter().find(of_another) {
            let (name, first) = (&disk.name, disk.file_of());
            return Err(format!(
                "--disk: `{name}` is another way to `{first}`; name the file of that: --disk {first}=FILE"
            ));
        }
        let path = |name: &str| {
            let disk = plan.disks.iter().find(|disk| disk.name == name);
            let default = || disk.map_or_else(PathBuf::new, disks::default_file);
            arg(disk.map_or(name, Disk::file_of)).map_or_else(default, |arg| arg.path.clone())
        };
        let members = plan.arrays.iter().map(|array| (array, array.disks.iter().map(|disk| path(disk))));
        let members: Vec<(_, Vec<PathBuf>)> = members.map(|(array, paths)| (array, paths.collect())).collect();
        let new: Vec<_> = members.iter().filter(|(_, paths)| paths.iter().all(|path| !path.exists())).collect();
        let open = |disk: &Disk| Ok((disk.name.clone(), disks::open(disk, arg(disk.file_of()))?));
        let images = plan.disks.iter().map(open).collect::<Result<_, String>>()?;
        new.into_iter().try_for_each(|(array, paths)| arrays::make(array, paths))?;
        Ok(images)
    }

    fn cpus(&self) -> Result<Cpus, String> {
        let ours = Cpus::ours().map_err(|error| format!("cannot tell which processors there are: {error}"))?;
        match self.cpus.as_deref() {
            None => Ok(Cpus(ours.0.last().copied().into_iter().collect())),
            Some("all") => Ok(ours),
            Some(list) => parse_cpus(list, &ours),
        }
    }

    fn limit(&self) -> Result<Option<Duration>, String> {
        let limit = self.seconds.map(Duration::try_from_secs_f64).transpose();
        limit.map_err(|_| "--for: give a number of seconds, as in --for 10".to_owned())
    }

    fn no_manager(&self, option: &str, rights: &str) -> String {
        let shown = self.system.display();
        format!("{option}: {shown} has no manager that could listen; add <orion:manager{rights}/>")
    }

    /// Listens for operators who may only look, if they are to come.
    fn look(&self, plan: &Plan) -> Result<Option<Bound>, String> {
        let Some(path) = &self.look else { return Ok(None) };
        if !has_manager(plan) {
            return Err(self.no_manager("--look", ""));
        }
        exports::listen_for_group(path).map(Some)
    }

    /// Listens for the manager's operators, where there is one.
    fn manager(&self, plan: &Plan) -> Result<Option<(PathBuf, Bound)>, String> {
        match (&self.socket, has_manager(plan)) {
            (None, false) => Ok(None),
            (Some(_), false) => Err(self.no_manager("--socket", " rights=\"admin\"")),
            (Some(path), true) => Ok(Some((path.clone(), exports::listen_private(path)?))),
            (None, true) => exports::listen_default().map(Some),
        }
    }

    fn summary(&self, plan: &Plan, bound: &BTreeMap<String, Bound>, socket: Option<&PathBuf>) -> String {
        let mut lines = vec![format!("running {} protection domains; {}", plan.pds.len(), self.ending())];
        for disk in &plan.disks {
            let arg = self.disks.iter().find(|arg| arg.name == disk.file_of());
            let path = arg.map_or_else(|| disks::default_file(disk), |arg| arg.path.clone());
            let article = if disk.bus.name().starts_with(['a', 'n']) { "an" } else { "a" };
            lines.push(format!("disk {}: {}, {article} {} device", disk.name, path.display(), disk.bus));
        }
        lines.extend(bound.iter().map(|(pd, bound)| format!("{pd}: {}", bound.uri)));
        if let Some(path) = socket {
            let option = if path == Path::new(exports::SOCKET) {
                String::new()
            } else {
                format!(" --socket {}", path.display())
            };
            lines.push(format!("manager: listens at {}; see it with: orion status{option}", path.display()));
        }
        lines.extend(self.look.as_ref().map(|path| {
            let path = path.display();
            format!("manager: listens at {path} for who may only look: orion status --socket {path}")
        }));
        lines.join("\n")
    }

    fn ending(&self) -> String {
        match (self.seconds, self.exports.is_empty()) {
            (Some(seconds), _) => format!("ends after {seconds} s"),
            (None, true) => "ends when every job has ended".to_owned(),
            (None, false) => "ends with Ctrl-C".to_owned(),
        }
    }
}

fn has_manager(plan: &Plan) -> bool {
    plan.pds.iter().any(|pd| pd.derived && pd.name == MANAGER)
}

type Sockets = (BTreeMap<String, Vec<std::os::fd::OwnedFd>>, Vec<crate::exports::Sweeper>);

fn split(bound: impl Iterator<Item = (String, Bound)>) -> Sockets {
    let (mut listeners, mut sweepers) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for (pd, bound) in bound {
        listeners.entry(pd).or_default().push(bound.socket);
        sweepers.extend(bound.sweeper);
    }
    (listeners, sweepers)
}

/// The processors that `0,2-3` names, all of which must be ours.
fn parse_cpus(list: &str, ours: &Cpus) -> Result<Cpus, String> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let range = range(part).filter(|range| !range.is_empty());
        let range =
            range.ok_or_else(|| format!("--cpus: `{list}` is no list of processors; write 0,1 or 0-3 or all"))?;
        if !ours.0.contains(range.start()) || !ours.0.contains(range.end()) {
            return Err(format!("--cpus: there is no processor {part} for us; there are: {:?}", ours.0));
        }
        cpus.extend(range.filter(|cpu| ours.0.contains(cpu)));
    }
    Ok(Cpus(cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        let ours = Cpus(vec![0, 1, 2, 5]);
        assert_eq!(parse_cpus("0,1-2", &ours), Ok(Cpus(vec![0, 1, 2])));
        for bad in ["", "x", "3", "2-1", "0,,1", "0-99999999999"] {
            assert!(parse_cpus(bad, &ours).is_err(), "{bad}");
        }
    }
}
