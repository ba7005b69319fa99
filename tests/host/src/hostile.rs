// SPDX-License-Identifier: MIT
//! Programs that try what no protection domain may do. Each says `got through` if it could.
#![allow(unsafe_code, clippy::panic, reason = "attacks")]
use orion_host::programs::{Program, Role};
use orion_host::world::HostWorld;
use orion_pd::{Channel, Verdict, World};
use std::sync::atomic::Ordering;

/// Every hostile program.
pub fn all() -> Vec<Program> {
    vec![
        hostile("hostile-open", |w| attempt(w, |_| call(libc::SYS_openat, [-100, path(), 0, 0]))),
        hostile("hostile-socket", |w| attempt(w, |_| call(libc::SYS_socket, [1, 1, 0, 0]))),
        hostile("hostile-ptrace", |w| attempt(w, |_| call(libc::SYS_ptrace, [16, 1, 0, 0]))),
        hostile("hostile-exec", |w| attempt(w, |_| call(libc::SYS_mmap, [0, 4096, 7, 0x22]))),
        hostile("hostile-map", |w| attempt(w, |_| call(libc::SYS_mmap, [0, 4096, 3, 1]))),
        hostile("hostile-protect", |w| attempt(w, |w| call(libc::SYS_mprotect, [shared(w), 4096, 3, 0]))),
        hostile("hostile-write", |w| attempt(w, write_read_only)),
        hostile("hostile-steal", |w| attempt(w, |_| call(libc::SYS_read, [0, 0, 0, 0]))),
        hostile("hostile-fork", |w| attempt(w, |_| call(libc::SYS_clone, [17, 0, 0, 0]))),
        hostile("hostile-panic", |w| attempt(w, |_| panic!("on purpose"))),
        hostile("hostile-overflow", |w| attempt(w, |_| i64::from(deeper(1)))),
        hostile("hostile-ring", garbage),
        // Denies service as far as it can: rings its peer without end, and prints what steers a terminal.
        hostile("hostile-noise", |world| {
            for _ in 0..100_000 {
                world.notify(Channel(0));
            }
            world.print(format_args!("\x1b[2Jnoise\r\nis over"));
            Ok(Verdict::Passed)
        }),
    ]
}

fn hostile(name: &'static str, run: fn(&mut HostWorld) -> Result<Verdict, String>) -> Program {
    Program { name, role: Role::Job, run }
}

fn attempt(world: &mut HostWorld, attack: fn(&mut HostWorld) -> i64) -> Result<Verdict, String> {
    world.print(format_args!("tries"));
    let result = attack(world);
    world.print(format_args!("got through: {result}"));
    Ok(Verdict::Passed)
}

fn path() -> i64 {
    c"/etc/passwd".as_ptr().addr().cast_signed() as i64
}

fn call(number: libc::c_long, arguments: [i64; 4]) -> i64 {
    let [a, b, c, d] = arguments;
    // SAFETY: an attack; where it succeeds, no memory that Rust knows of has changed.
    unsafe { libc::syscall(number, a, b, c, d, 0, 0) }
}

/// A page that this PD may only read: its server's page of a ring connection.
fn shared(world: &HostWorld) -> i64 {
    let link = world.config().links.first();
    link.map_or(0, |link| link.info.get().cast_signed())
}

fn write_read_only(world: &mut HostWorld) -> i64 {
    let Some(link) = world.config().links.first() else { return -1 };
    let window = world.window(link.info.get());
    window.map_or(-1, |window| i64::from(window.write(64, 1u32)))
}

/// Writes garbage into everything of its ring connection that it may write, for as long as somebody may look.
fn garbage(world: &mut HostWorld) -> Result<Verdict, String> {
    let link = *world.config().links.first().ok_or("no link")?;
    let places = [link.ext, link.requests, link.responses].map(|vaddr| world.window(vaddr.get()));
    let mut random = 1u64;
    world.print(format_args!("tries"));
    for round in 0..20_000u32 {
        for window in places.iter().flatten() {
            for _ in 0..8 {
                random = mix(random);
                // The words that the peer looks at first, half of the time: heads, tails, versions, flags.
                let words = if random & 1 == 0 { 32 } else { window.len() / 4 };
                let at = usize::try_from(random >> 33).unwrap_or(0) % words;
                let value = u32::try_from(random >> 1 & 0xffff_ffff).unwrap_or(0);
                let small = value % 300;
                window.store(4 * at, if random & 2 == 0 { small } else { value }, Ordering::Release);
            }
        }
        let channel = u8::try_from(link.channel.get()).unwrap_or(0);
        world.notify(Channel(channel));
        if round % 64 == 0 {
            std::thread::yield_now();
        }
    }
    world.print(format_args!("is over"));
    Ok(Verdict::Passed)
}

/// splitmix64.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uses up the stack.
fn deeper(depth: u32) -> u32 {
    let room = std::hint::black_box([depth; 1024]);
    room.iter().fold(0, |sum, n| sum ^ n) ^ if depth == 0 { 0 } else { deeper(depth.wrapping_add(1)) }
}
