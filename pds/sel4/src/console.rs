// SPDX-License-Identifier: MIT
//! Printing: a line goes into the PD's console ring, which the serial PD reads. Release kernels print nothing for PDs.
use crate::end::End;
use core::cell::RefCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use orion_pd::config;
use orion_region::Window;
use orion_ring::bytes::Writer;
use sel4_microkit::{Channel, panicking};

/// Most bytes of a line; what is beyond is cut off.
const LINE: usize = 256;

/// The PD's end of its console ring.
#[derive(Debug)]
struct Console {
    ring: Writer,
    serial: Channel,
    /// Whether somebody restarts this PD when it ends.
    supervised: bool,
}

/// The console of this PD. A panic prints too, and knows of no world: that is why it is global.
struct Global(RefCell<Option<Console>>);

#[expect(unsafe_code, reason = "a static must be Sync")]
// SAFETY: a PD has one thread.
unsafe impl Sync for Global {}

static CONSOLE: Global = Global(RefCell::new(None));

/// Opens the console: `window` is the ring of `record`.
pub fn open(record: &config::Console, window: Window, supervised: bool) {
    let index = usize::from(record.channel.get());
    if let (Ok(ring), true) = (Writer::attach(window), index < 62) {
        CONSOLE.0.replace(Some(Console { ring, serial: Channel::new(index), supervised }));
    }
    panicking::set_hook(&panicked);
}

/// Prints one line. Where there is no room in the console's ring, the line (or its end) is lost; where there is no
/// console, a debug kernel prints it.
pub fn print(line: fmt::Arguments<'_>) {
    let mut text = Line { bytes: [0; LINE], len: 0 };
    let _cut = text.write_fmt(line);
    text.end();
    // Borrowed already only where printing itself panicked: then nothing more can be said.
    let Ok(mut console) = CONSOLE.0.try_borrow_mut() else { return };
    if let Some(console) = console.as_mut() {
        console.ring.write(text.written());
        console.serial.notify();
    } else {
        let line = core::str::from_utf8(text.written()).unwrap_or("?");
        sel4_microkit::debug_print!("{}: {line}", sel4_microkit::pd_name().unwrap_or("?"));
    }
}

/// Prints the last line of this life; whether there will be another one.
pub fn ended(why: impl fmt::Display) -> bool {
    let again = CONSOLE.0.try_borrow().is_ok_and(|console| console.as_ref().is_some_and(|console| console.supervised));
    let what = if again { "ended" } else { "stopped" };
    print(format_args!("{what}: {why}"));
    again
}

fn panicked(info: &PanicInfo<'_>) {
    sel4_microkit::debug_println!("{}: {info}", sel4_microkit::pd_name().unwrap_or("?"));
    let _either_way = ended(info);
    End::Panic.now()
}

/// A line as it grows; always with room for its end.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Line {
    fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn end(&mut self) {
        if let Some(last) = self.bytes.get_mut(self.len) {
            *last = b'\n';
            self.len += 1;
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..LINE - 1).unwrap_or(&mut []);
        let n = room.len().min(text.len());
        // A control character would let one PD forge another's line.
        let printable = text.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b });
        room.iter_mut().zip(printable).for_each(|(to, from)| *to = from);
        self.len += n;
        if n < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
