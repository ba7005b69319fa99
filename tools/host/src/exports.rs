// SPDX-License-Identifier: MIT
//! Listening sockets of exports: bound before anything starts, and no socket file left behind, whatever ends us.
#![allow(unsafe_code, reason = "fork, umask")]
use crate::sys;
use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where an export listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket at this path.
    Unix(PathBuf),
    /// A TCP port of this machine, reachable from this machine only: NBD knows no passwords. 0: any free port.
    Tcp(u16),
}

/// `VOLUME=nbd:unix:PATH` or `VOLUME=nbd:tcp:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportArg {
    /// The volume's (or disk's) name in `system.xml`.
    pub volume: String,
    /// Where it is served.
    pub address: Address,
}

impl FromStr for ExportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not an export; write VOLUME=nbd:unix:PATH or VOLUME=nbd:tcp:PORT, as in vault=nbd:tcp:10809"
            )
        };
        let (volume, address) = text.split_once('=').filter(|(volume, _)| !volume.is_empty()).ok_or_else(wrong)?;
        let address = if let Some(path) = address.strip_prefix("nbd:unix:").filter(|path| !path.is_empty()) {
            Address::Unix(path.into())
        } else {
            let port = address.strip_prefix("nbd:tcp:").and_then(|port| port.parse().ok());
            Address::Tcp(port.ok_or_else(wrong)?)
        };
        Ok(Self { volume: volume.to_owned(), address })
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub socket: OwnedFd,
    /// Its NBD address, for people and programs.
    pub uri: String,
    /// Removes the socket's file.
    pub sweeper: Option<Sweeper>,
}

impl Address {
    /// Listens here. Call it before any process or thread is started.
    ///
    /// # Errors
    /// A message for people.
    pub fn listen(&self) -> Result<Bound, String> {
        match self {
            Self::Tcp(port) => listen_tcp(*port),
            Self::Unix(path) => listen_unix(path),
        }
    }
}

fn listen_tcp(port: u16) -> Result<Bound, String> {
    let cannot = |error: io::Error| {
        format!("export: cannot listen on TCP port {port}: {error}; choose another port, or 0 for any that is free")
    };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(cannot)?;
    let port = socket.local_addr().map_err(cannot)?.port();
    socket.set_nonblocking(true).map_err(cannot)?;
    Ok(Bound { socket: socket.into(), uri: format!("nbd://127.0.0.1:{port}"), sweeper: None })
}

/// Where a manager listens, where nobody says.
pub const SOCKET: &str = "build/orion.sock";
/// Runs in the same directory that find a place to listen at.
const DEFAULTS: u32 = 10;

/// Listens at `path` for operators: only the user who runs this may come.
///
/// # Errors
/// A message for people.
pub fn listen_private(path: &Path) -> Result<Bound, String> {
    listen_masked(path, 0o177)
}

/// Listens at `path` for the user who runs this and the group of the socket's file.
///
/// # Errors
/// A message for people.
pub fn listen_for_group(path: &Path) -> Result<Bound, String> {
    listen_masked(path, 0o117)
}

fn listen_masked(path: &Path, mask: libc::mode_t) -> Result<Bound, String> {
    // SAFETY: plain integers; there is one thread yet.
    let usual = unsafe { libc::umask(mask) };
    let bound = listen_unix(path);
    // SAFETY: as above.
    unsafe { libc::umask(usual) };
    bound
}

/// Listens at [`SOCKET`]; where another run does, beside it.
///
/// # Errors
/// A message for people.
pub fn listen_default() -> Result<(PathBuf, Bound), String> {
    let first = PathBuf::from(SOCKET);
    if let Some(folder) = first.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
    }
    let others = (2..DEFAULTS).map(|n| first.with_file_name(format!("orion-{n}.sock")));
    let mut free = std::iter::once(first.clone()).chain(others).filter(|path| UnixStream::connect(path).is_err());
    let path = free.next().unwrap_or(first);
    listen_private(&path).map(|bound| (path, bound))
}

fn listen_unix(path: &Path) -> Result<Bound, String> {
    let shown = path.display();
    let cannot = |error: io::Error| {
        format!("cannot listen at {shown}: {error}; name a path of at most 107 bytes in a directory that exists")
    };
    remove_stale(path)?;
    let socket = UnixListener::bind(path).map_err(cannot)?;
    socket.set_nonblocking(true).map_err(cannot)?;
    let sweeper = Some(Sweeper::new(path).map_err(cannot)?);
    let absolute = std::path::absolute(path).map_err(cannot)?;
    Ok(Bound { socket: socket.into(), uri: format!("nbd+unix:///?socket={}", absolute.display()), sweeper })
}

/// Removes a socket at which nobody listens any more.
fn remove_stale(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(format!("{shown} exists and is no socket; name another path"));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(format!("another process listens at {shown}; end it, or name another path"));
    }
    std::fs::remove_file(path).map_err(|error| format!("the old socket {shown} cannot be removed: {error}"))
}

/// A process that outlives us by a moment: when we end, by whatever death, it removes the socket's file.
#[derive(Debug)]
pub struct Sweeper {
    /// The process sees its other end close.
    life: Option<UnixStream>,
    process: libc::pid_t,
}

impl Sweeper {
    fn new(path: &Path) -> io::Result<Self> {
        let file = std::fs::symlink_metadata(path)?;
        let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: there is one thread yet, and the child only makes system calls on what it was given.
        let process = sys::check(unsafe { libc::fork() })?;
        if process == 0 {
            sweep(ours, &theirs, &path, (file.dev(), file.ino()));
        }
        Ok(Self { life: Some(ours), process })
    }
}

/// The life of the sweeper.
fn sweep(ours: UnixStream, theirs: &UnixStream, path: &CString, identity: (u64, u64)) -> ! {
    drop(ours);
    let mut byte = [0u8; 1];
    // SAFETY: plain integers and buffers that live through the calls; `stat` may be zero before it is filled in.
    unsafe {
        // Apart from the terminal's signals and from whoever kills our parent's group, and holding nothing of it:
        // neither a lock nor a port nor the pipe that somebody waits on.
        libc::setsid();
        let keep = theirs.as_raw_fd().cast_unsigned();
        libc::close_range(keep + 1, u32::MAX, 0);
        if keep > 0 {
            libc::close_range(0, keep - 1, 0);
        }
        while libc::read(theirs.as_raw_fd(), byte.as_mut_ptr().cast(), 1) < 0 {}
        let mut found: libc::stat = std::mem::zeroed();
        // Only our own: another run may have taken the path meanwhile.
        if libc::lstat(path.as_ptr(), &raw mut found) == 0 && (found.st_dev, found.st_ino) == identity {
            libc::unlink(path.as_ptr());
        }
        libc::_exit(0)
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.life = None;
        // SAFETY: our own child, waited for once; the null pointer asks for no status.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let export: ExportArg = "vault=nbd:unix:/a=b".parse().unwrap();
        assert_eq!(export, ExportArg { volume: "vault".into(), address: Address::Unix("/a=b".into()) });
        assert_eq!("v=nbd:tcp:0".parse::<ExportArg>().unwrap().address, Address::Tcp(0));
        for bad in ["vault", "=nbd:tcp:1", "v=nbd:tcp:", "v=nbd:tcp:65536", "v=nbd:unix:", "v=nbd:/x", "v=iscsi:tcp:1"]
        {
            assert!(bad.parse::<ExportArg>().is_err(), "{bad}");
        }
    }
}
