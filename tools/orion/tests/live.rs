// SPDX-License-Identifier: MIT
//! `orion status` and `orion ctl` on systems that run, from the command line to the disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const ORION: &str = env!("CARGO_BIN_EXE_orion");

/// A system that runs, with its volume exported.
struct Live {
    child: Child,
    folder: PathBuf,
}

impl Live {
    /// Starts a system whose manager has these rights, in a folder of its own.
    fn start(name: &str, manager: &str) -> Self {
        Self::on(name, "<orion:disk name=\"d0\" bus=\"virtio-blk\"/>", manager)
    }

    /// So, on this disk, which is called `d0`.
    fn on(name: &str, disk: &str, manager: &str) -> Self {
        Self::of(name, disk, "<orion:on disk=\"d0\"/>", manager)
    }

    /// The folder of the system of this name.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("orion-live-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// So, with these disks, and a volume on this.
    fn of(name: &str, disk: &str, on: &str, manager: &str) -> Self {
        let folder = Self::folder(name);
        let xml = format!(
            "<system xmlns:orion=\"urn:orion-storage:1\">{disk}\
             <orion:volume name=\"vault\">{on}</orion:volume>{manager}</system>"
        );
        std::fs::write(folder.join("system.xml"), xml).unwrap();
        let mut orion = Command::new(ORION);
        orion.args(["run", "--json", "--export", "vault=nbd:unix:nbd", "--look", "look.sock"]).current_dir(&folder);
        let mut child = orion.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = lines.by_ref().map_while(Result::ok).any(|line| line.contains("serving vault"));
        assert!(serving, "the system has not started");
        // Somebody has to read what it prints.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder }
    }

    fn orion(&self, args: &[&str]) -> Output {
        Command::new(ORION).args(args).current_dir(&self.folder).output().unwrap()
    }

    /// What a command prints that must succeed.
    #[track_caller]
    fn done(&self, args: &[&str]) -> String {
        let output = self.orion(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that must fail.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let output = self.orion(args);
        assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.done(&["status", "--json", "--interval", "0"])).unwrap()
    }

    /// Reads from the exported volume; whether that went well.
    fn reads(&self) -> bool {
        self.io(&["-r", "-f", "raw", "-c", "read 0 1M"]).contains("read 1048576/1048576 bytes")
    }

    fn writes(&self) -> bool {
        self.io(&["-f", "raw", "-c", "write 0 64k"]).contains("wrote 65536/65536 bytes")
    }

    fn io(&self, args: &[&str]) -> String {
        let uri = format!("nbd+unix:///vault?socket={}", self.folder.join("nbd").display());
        let output = Command::new("qemu-io").args(args).arg(&uri).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether the programs that play the devices and the client are missing. Says so where they are.
fn missing() -> bool {
    let has = |program: &str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|p| p.join(program).is_file()))
    };
    let missing = !has("qemu-io") || !Path::new("/proc/self/exe").exists();
    if missing {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no qemu-io (Debian: qemu-utils)");
    }
    missing
}

fn right<'a>(status: &'a Value, client: &str) -> &'a Value {
    status["rights"].as_array().unwrap().iter().find(|right| right["client"] == client).unwrap_or(&Value::Null)
}

fn pd<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["pds"].as_array().unwrap().iter().find(|pd| pd["name"] == name).unwrap()
}

/// Also where one may only look; and the first who asks sees what the device answered.
#[test]
fn disks_say_who_they_are() {
    if missing() {
        return;
    }
    let live = Live::start("health", "<orion:manager/>");
    for socket in ["build/orion.sock", "look.sock"] {
        let health: Value = serde_json::from_str(&live.done(&["health", "--json", "--socket", socket])).unwrap();
        let disk = &health["disks"][0];
        assert_eq!((&disk["name"], &disk["driver"], &disk["serial"]), (&"d0".into(), &"blk_d0".into(), &"d0".into()));
        assert_eq!((&disk["counted_by_driver"]["timeouts"], &disk["temperature_c"]), (&0.into(), &Value::Null));
    }
    let said = live.done(&["health"]);
    assert!(said.contains("serial       d0\n") && said.contains(" blocks of 512 bytes\n"), "{said}");
}

/// A namespace as a disk: what is destroyed is asked for twice, is recorded, and needs the right to `admin`.
#[test]
fn an_operator_formats_a_disk_and_nobody_does_without_the_right() {
    if missing() {
        return;
    }
    let nvme = "<orion:disk name=\"d0\" bus=\"nvme\"/>";
    let live = Live::on("format", nvme, "<orion:manager rights=\"admin\"/>");
    assert!(live.writes());
    let said = live.refused(&["ctl", "disk", "d0", "format"]);
    assert!(said.contains("confirm=d0"), "{said}");
    let zeroes = |live: &Live| live.io(&["-r", "-f", "raw", "-c", "read -P 0 0 64k"]).contains("read 65536/65536");
    let pattern = |live: &Live| live.io(&["-r", "-f", "raw", "-c", "read -P 0xcd 0 64k"]);
    assert!(!pattern(&live).contains("verification failed"), "what qemu-io writes");
    let said = live.done(&["ctl", "disk", "d0", "format", "confirm=d0"]);
    assert!(said.ends_with("d0: format: done\n"), "{said}");
    assert!(zeroes(&live) && pattern(&live).contains("verification failed"), "a format that left what was written");
    assert!(live.writes(), "the disk is not used again");
    assert!(live.done(&["health"]).contains("last order   format: done"));
    let said = live.done(&["ctl", "disk", "d0", "namespaces"]);
    assert!(said.contains("namespace 1: ") && said.contains("blocks of 512 bytes, attached"), "{said}");
    let said = live.done(&["ctl", "disk", "d0", "verify"]);
    assert!(said.ends_with("d0: verify: done\n"), "{said}");
    for (what, why) in [
        (&["verify", "from=99999999"][..], "makes no sense for this disk"),
        (&["sanitize", "blocks", "confirm=d0"], "the device cannot do that"),
        (&["format", "block=777", "confirm=d0"], "makes no sense for this disk"),
        (&["attach", "1"], "the namespace is attached already"),
        (&["attach", "9"], "the device refuses"),
    ] {
        let said = live.refused(&[&["ctl", "disk", "d0"][..], what].concat());
        assert!(said.contains(why), "{what:?}: {said}");
    }
    let said = live.refused(&["ctl", "disk", "d7", "format", "confirm=d7"]);
    assert!(said.contains("no disk or array of that name"), "{said}");
    let said = live.refused(&["ctl", "disk", "d0", "format", "confirm=d0", "--socket", "look.sock"]);
    assert!(said.contains("commands go to the one"), "{said}");
    drop(live);

    let live = Live::on("formatless", nvme, "<orion:manager/>");
    assert!(live.writes());
    let said = live.refused(&["ctl", "disk", "d0", "format", "confirm=d0"]);
    assert!(said.contains("may only look"), "{said}");
    assert!(!pattern(&live).contains("verification failed"));
}

/// A member is set faulty, taken out, brought in again and rebuilt, while a client reads and writes; who may only look changes
/// nothing.
#[test]
fn an_operator_checks_an_array_and_has_a_member_rebuilt() {
    if missing() {
        return;
    }
    let disks: String = (0..3).map(|n| format!("<orion:disk name=\"m{n}\" bus=\"virtio-blk\"/>")).collect();
    let on: String = (0..3).map(|n| format!("<orion:on disk=\"m{n}\"/>")).collect();
    let raid = format!("<orion:raid level=\"5\">{on}</orion:raid>");
    let live = Live::of("raid", &disks, &raid, "<orion:manager rights=\"admin\"/>");
    let array = |live: &Live| -> Value {
        let health: Value = serde_json::from_str(&live.done(&["health", "--json"])).unwrap();
        assert_eq!(health["disks"].as_array().unwrap().len(), 3, "{health:#}");
        health["arrays"][0].clone()
    };
    assert!(live.writes());
    let said = live.done(&["ctl", "raid", "vault", "check"]);
    assert!(said.ends_with("vault: check: done, 0 sectors differed\n"), "{said}");
    let found = array(&live);
    assert_eq!((&found["level"], &found["missing"], &found["members"]), (&"RAID 5".into(), &0.into(), &3.into()));
    assert!(live.done(&["status"]).contains("0 m0, 1 m1, 2 m2"));

    fn ctl<'a>(what: &[&'a str]) -> Vec<&'a str> {
        [&["ctl", "raid", "vault"][..], what].concat()
    }
    assert!(live.refused(&ctl(&["remove", "m1"])).contains("fail it first"));
    assert!(live.refused(&ctl(&["fail", "m7"])).contains("it has: m0, m1, m2"));
    live.done(&ctl(&["fail", "m1"]));
    let found = array(&live);
    assert_eq!((&found["missing"], &found["devices"][1]["is"]), (&1.into(), &"failed".into()), "{found:#}");
    assert!(live.refused(&ctl(&["fail", "m2"])).contains("cannot be without"));
    assert!(live.writes() && live.reads());
    live.done(&ctl(&["remove", "m1"]));
    live.done(&ctl(&["add", "m1"]));
    while array(&live)["missing"] != 0 {}
    assert!(live.writes() && live.reads());
    let said = live.done(&ctl(&["check"]));
    assert!(said.ends_with("vault: check: done, 0 sectors differed\n"), "{said}");
    drop(live);

    let live = Live::of("raidless", &disks, &raid, "<orion:manager/>");
    assert!(live.refused(&ctl(&["fail", "m1"])).contains("may only look"));
    assert_eq!(array(&live)["missing"], 0);
}

/// An empty disk is added as a spare and the array grows onto it, while a client writes, reads and compares; afterwards it is on
/// the images what it was on the way to, with everything that was written.
#[test]
fn an_operator_grows_an_array_that_is_in_use() {
    if missing() {
        return;
    }
    let build = Live::folder("grow").join("build");
    std::fs::create_dir_all(&build).unwrap();
    let images: Vec<PathBuf> = (0..4).map(|n| build.join(format!("m{n}.img"))).collect();
    images.iter().for_each(|image| std::fs::File::create(image).unwrap().set_len(24 << 20).unwrap());
    let orion = |args: &[&str], images: &[PathBuf]| {
        let output = Command::new(ORION).args(args).args(images).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    orion(
        &["raid", "create", "--level", "5", "--raid-devices", "3", "--name", "vault", "--assume-clean"],
        &images[..3],
    );
    let disks: String = (0..4).map(|n| format!("<orion:disk name=\"m{n}\" bus=\"virtio-blk\"/>")).collect();
    let on: String = (0..4).map(|n| format!("<orion:on disk=\"m{n}\"/>")).collect();
    let raid = format!("<orion:raid level=\"5\">{on}</orion:raid>");
    let live = Live::of("grow", &disks, &raid, "<orion:manager rights=\"admin\"/>");
    let write = |at: usize| {
        let done = live.io(&["-f", "raw", "-c", &format!("write -P {} {}k 192k", at % 251 + 1, at * 192)]);
        assert!(done.contains("wrote 196608/196608 bytes"), "{done}");
    };
    let holds = |at: usize| {
        let done = live.io(&["-r", "-f", "raw", "-c", &format!("read -P {} {}k 192k", at % 251 + 1, at * 192)]);
        assert!(done.contains("read 196608/196608 bytes") && !done.contains("failed"), "{at}: {done}");
    };
    (0..60).for_each(write);
    let grow = ["ctl", "raid", "vault", "grow", "--raid-devices", "4"];
    let said = live.refused(&grow);
    assert!(said.contains("needs more spares"), "{said}");
    assert!(live.refused(&["ctl", "raid", "vault", "grow", "--level", "6"]).contains("system.xml fixes its level"));
    assert!(
        live.refused(&["ctl", "raid", "vault", "grow", "--layout", "up"]).contains("as in --layout left-symmetric")
    );
    assert!(live.refused(&[&grow[..], &["--socket", "look.sock"]].concat()).contains("commands go to the one"));
    live.done(&["ctl", "raid", "vault", "add", "m3"]);
    let mut order = Command::new(ORION);
    let mut order = order.args(grow).current_dir(&live.folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut at = 60;
    while order.try_wait().unwrap().is_none() {
        write(at % 100);
        holds(at % 60);
        at += 1;
    }
    let mut said = String::new();
    order.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(order.wait().unwrap().success() && said.ends_with("vault: grow: done\n"), "{said}");
    let written = at.clamp(60, 100);
    (0..written).for_each(holds);
    let health: Value = serde_json::from_str(&live.done(&["health", "--json"])).unwrap();
    let found = &health["arrays"][0];
    assert_eq!(
        (&found["members"], &found["missing"], &found["devices"][3]["is"]),
        (&4.into(), &0.into(), &"member".into())
    );
    let checked = live.done(&["ctl", "raid", "vault", "check"]);
    assert!(checked.ends_with("vault: check: done, 0 sectors differed\n"), "{checked}");
    // What is to become of the images: they outlive the system.
    let kept: Vec<PathBuf> = (0..4).map(|n| live.folder.with_extension(format!("m{n}"))).collect();
    images.iter().zip(&kept).for_each(|(image, kept)| std::fs::rename(image, kept).unwrap());
    drop(live);
    let examined = String::from_utf8(orion(&["raid", "examine"], &kept)).unwrap();
    let whole = orion(&["cat"], &kept);
    kept.iter().for_each(|kept| std::fs::remove_file(kept).unwrap());
    assert_eq!(examined.matches("RAID 5, 4 members").count(), 4, "{examined}");
    assert!(whole.len() > 66 << 20, "{}", whole.len());
    for (at, bytes) in whole.chunks(192 << 10).enumerate().take(written) {
        assert!(bytes.iter().all(|byte| usize::from(*byte) == at % 251 + 1), "{at}");
    }
}

/// Two controllers of one subsystem: while either has the disk, whoever reads and writes notices nothing.
#[test]
fn a_disk_behind_two_controllers_is_there_while_either_is() {
    if missing() {
        return;
    }
    let disks = "<orion:disk name=\"p0\" bus=\"nvme\"/><orion:disk name=\"p1\" bus=\"nvme\"/>";
    let ways = "<orion:multipath><orion:on disk=\"p0\"/><orion:on disk=\"p1\"/></orion:multipath>";
    let live = Live::of("multipath", disks, ways, "<orion:manager rights=\"admin\"/>");
    let health: Value = serde_json::from_str(&live.done(&["health", "--json"])).unwrap();
    let identity = |at: usize| health["disks"][at]["identity"].as_str().unwrap().to_owned();
    assert!(!identity(0).is_empty() && identity(0) == identity(1), "{health:#}");
    let served = |live: &Live, pd: &str| self::pd(&live.status(), pd)["counters"]["requests"].as_u64().unwrap();
    let moved = |live: &Live, pd: &str| {
        let before = served(live, pd);
        assert!(live.writes() && live.reads());
        served(live, pd) > before
    };
    assert!(moved(&live, "blk_p0") && !moved(&live, "blk_p1"), "the first of equals is taken");
    live.done(&["ctl", "disk", "p0", "detach", "1"]);
    assert!(moved(&live, "blk_p1"));
    live.done(&["ctl", "disk", "p0", "attach", "1"]);
    live.done(&["ctl", "disk", "p1", "detach", "1"]);
    assert!(moved(&live, "blk_p0"), "what came back is used again");
    live.done(&["ctl", "disk", "p0", "detach", "1"]);
    assert!(!live.reads(), "without any way");
    live.done(&["ctl", "disk", "p1", "attach", "1"]);
    assert!(moved(&live, "blk_p1"));
}

/// A namespace of zones, from the command line to QEMU's controller.
#[test]
fn an_operator_sees_and_changes_zones() {
    if missing() {
        return;
    }
    let live =
        Live::on("zones", "<orion:disk name=\"d0\" bus=\"nvme\" zoned=\"yes\"/>", "<orion:manager rights=\"admin\"/>");
    let zones = |live: &Live| live.done(&["ctl", "disk", "d0", "zones", "from=0"]);
    let first = |live: &Live| zones(live).lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(zones(&live).lines().count(), 64, "a line, and 63 zones of 64: {}", zones(&live));
    assert!(first(&live).contains("empty"), "{}", first(&live));
    // At the write pointer a write passes; elsewhere it does not, and what lies there stays.
    assert!(live.writes());
    assert!(!live.writes(), "written over");
    assert!(first(&live).contains("open") && first(&live).contains("128"), "{}", first(&live));
    assert!(live.done(&["ctl", "disk", "d0", "zone", "finish", "0"]).contains("done"));
    assert!(first(&live).contains("full"), "{}", first(&live));
    assert!(live.refused(&["ctl", "disk", "d0", "zone", "reset", "0"]).contains("confirm=d0"));
    assert!(live.done(&["ctl", "disk", "d0", "zone", "reset", "0", "confirm=d0"]).contains("done"));
    assert!(first(&live).contains("empty"), "{}", first(&live));
    assert!(live.writes(), "what was reset is written again");
}

#[test]
fn an_operator_sees_the_traffic_and_takes_rights_away_and_gives_them_back() {
    if missing() {
        return;
    }
    let live = Live::start("admin", "<orion:manager rights=\"admin\"/>");
    assert!(live.reads());
    let status = live.status();
    let used = right(&status, "export_vault")["used"].as_u64().unwrap();
    assert!(used > 0, "{status:#}");
    for name in ["blk_d0", "gatekeeper", "export_vault"] {
        assert_eq!(pd(&status, name)["state"], "ok", "{status:#}");
    }
    assert!(pd(&status, "gatekeeper")["counters"]["requests"].as_u64().unwrap() >= used);
    assert!(pd(&status, "blk_d0")["counters"]["kicks"].as_u64().unwrap() > 0);
    assert_eq!((&status["volumes"][0]["name"], &status["volumes"][0]["blocks"]), (&"vault".into(), &16384.into()));

    live.done(&["ctl", "freeze", "export_vault"]);
    assert!(!live.reads(), "a frozen client reads");
    let status = live.status();
    assert_eq!(
        (&right(&status, "export_vault")["state"], &right(&status, "manager")["state"]),
        (&"frozen".into(), &"ok".into())
    );
    assert!(pd(&status, "gatekeeper")["counters"]["refused"].as_u64().unwrap() > 0);
    live.done(&["ctl", "thaw", "export_vault:0"]);
    assert!(live.reads(), "a client that was thawed does not read");

    assert!(live.writes());
    let count = |name: &str| pd(&live.status(), name)["counters"]["requests"].as_u64().unwrap();
    let before = (count("blk_d0"), count("gatekeeper"));
    assert_eq!(live.done(&["ctl", "reset", "blk_d0"]), "blk_d0: done\n");
    assert!(before.0 > 0 && count("blk_d0") == 0 && count("gatekeeper") >= before.1, "only its own");
    assert!(live.reads() && (1..before.0).contains(&count("blk_d0")));
    live.done(&["ctl", "limit", "export_vault", "iops=5000", "in-flight=2"]);
    assert_eq!(right(&live.status(), "export_vault")["limits"]["iops"], 5000);
    assert!(live.reads());
    live.done(&["ctl", "limit", "export_vault"]);
    assert_eq!(right(&live.status(), "export_vault")["limits"]["iops"], 0);
    assert!(live.done(&["ctl", "advance", "vault"]).contains("epoch 1"));
    assert!(live.done(&["ctl", "list"]).contains("export_vault:0"));
    assert!(live.done(&["status"]).contains("Protection domains"));

    let said = live.done(&["ctl", "narrow", "export_vault", "rights=read,flush"]);
    assert!(said.contains("allows now: read flush"), "{said}");
    assert!(live.reads() && !live.writes(), "what has lost the right to write writes");

    live.done(&["ctl", "revoke", "export_vault"]);
    assert!(!live.reads() && right(&live.status(), "export_vault").is_null());
    for (args, why) in [
        (&["ctl", "thaw", "export_vault"][..], "no such capability below one of the caller's"),
        (&["ctl", "freeze", "nobody"], "no such client or window"),
        (&["ctl", "advance", "cellar"], "there is no volume \"cellar\"; there are: vault"),
        (&["ctl", "reset", "cellar"], "there is no protection domain of that name"),
        (&["ctl", "narrow", "export_vault"], "say what to leave"),
        (&["ctl", "melt", "export_vault"], "\"melt\": ctl has no such command"),
        (&["ctl", "delegate", "vault", "export_vault:0", "blocks=0..1", "rights=read"], "may not pass rights on"),
        (&["status", "--socket", "nowhere"], "no system listens there"),
    ] {
        assert!(live.refused(args).contains(why), "{args:?}: {}", live.refused(args));
    }
}

#[test]
fn a_manager_without_the_right_lets_operators_only_look() {
    if missing() {
        return;
    }
    let live = Live::start("observe", "<orion:manager/>");
    for args in [["ctl", "freeze", "export_vault"], ["ctl", "revoke", "export_vault"], ["ctl", "advance", "vault"]] {
        assert!(live.refused(&args).contains("the manager may only look at figures"));
    }
    assert!(live.refused(&["ctl", "reset", "gatekeeper"]).contains("the manager may only look at figures"));
    assert!(live.reads());
    assert!(live.done(&["ctl", "look", "export_vault"]).contains("allows now: read write"));
    let status = live.status();
    assert_eq!(status["manager"]["rights"], serde_json::json!(["observe"]));
    assert!(right(&status, "export_vault")["used"].as_u64().unwrap() > 0);
}

/// The socket for looking: its file lets in the group, and nothing can be changed over it though the manager may; however
/// many come to look, those who may change things still do.
#[test]
fn who_may_only_look_sees_and_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    if missing() {
        return;
    }
    let live = Live::start("look", "<orion:manager rights=\"admin\"/>");
    let mode = |path: &str| std::fs::metadata(live.folder.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("look.sock"), mode("build/orion.sock")), (0o660, 0o600));
    let look = |words: &[&'static str]| [words, &["--socket", "look.sock"]].concat();
    assert!(live.done(&look(&["status", "--interval", "0"])).contains("export_vault"));
    assert!(live.done(&look(&["ctl", "list"])).contains("export_vault:0"));
    for words in [
        &["ctl", "freeze", "export_vault"][..],
        &["ctl", "limit", "export_vault"],
        &["ctl", "reset", "blk_d0"],
        &["ctl", "look", "export_vault"],
    ] {
        let said = live.refused(&look(words));
        assert!(said.contains("this socket is for `orion status`"), "{said}");
    }
    let lookers: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(live.folder.join("look.sock")).unwrap()).collect();
    live.done(&["ctl", "freeze", "export_vault"]);
    assert!(!live.reads());
    drop(lookers);
    assert_eq!(right(&live.status(), "export_vault")["state"], "frozen");
}

#[test]
fn what_is_no_request_is_refused_with_a_reason_and_harms_nobody() {
    if missing() {
        return;
    }
    let live = Live::start("garbage", "<orion:manager rights=\"admin\"/>");
    let socket = || UnixStream::connect(live.folder.join("build/orion.sock")).unwrap();
    let answer = |bytes: &[u8]| {
        let mut socket = socket();
        socket.write_all(bytes).unwrap();
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    };
    assert!(answer(&[0xa5; 144]).contains("this is no request to a manager"));
    let mut other = vec![0; 144];
    other[..6].copy_from_slice(b"ORMQ\x09\0");
    assert!(answer(&other).contains("of another version"));
    // Half requests, and who never reads: others are answered all the same.
    let half: Vec<UnixStream> = (0..3).map(|_| socket()).collect();
    half.iter().for_each(|mut socket| socket.write_all(b"ORMQ").unwrap());
    let mut deaf = socket();
    let mut state = [0; 144];
    state[..8].copy_from_slice(b"ORMQ\x01\0\x01\0");
    deaf.write_all(&state.repeat(50)).unwrap();
    assert_eq!(pd(&live.status(), "gatekeeper")["state"], "ok");
    assert!(live.reads());
}
