// SPDX-License-Identifier: MIT
use crate::console::{Console, Source, drain};
use crate::input::{Input, LINE_MAX, Sink};
use crate::{Ns16550, Pl011, Ports, Stuck, Uart, Wire};
use core::cell::RefCell;
use embedded_io::Write;
use orion_region::Mmio;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::string::String;
use std::vec::Vec;

/// A UART that takes a byte at every third question.
#[derive(Default)]
struct Slow {
    sent: Vec<u8>,
    asked: core::cell::Cell<u32>,
    typed: VecDeque<u8>,
}

impl Uart for Slow {
    fn ready(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get().is_multiple_of(3)
    }
    fn send(&mut self, byte: u8) {
        assert_eq!(self.asked.get() % 3, 0, "sent while it was not ready");
        self.sent.push(byte);
    }
    fn listen(&mut self) {}
    fn receive(&mut self) -> Option<u8> {
        self.typed.pop_front()
    }
}

#[derive(Default)]
struct Pieces(VecDeque<u8>, u32);

impl Source for Pieces {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.0.len());
        to.iter_mut().zip(self.0.drain(..count)).for_each(|(to, byte)| *to = byte);
        count
    }
    fn dropped(&self) -> u32 {
        self.1
    }
}

/// What is printed when each PD's bytes come in the pieces `(pd, bytes)`, drained after each piece.
fn printed(pieces: &[(usize, Vec<u8>)]) -> String {
    const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];
    let mut consoles = NAMES.map(|name| Console::new(name, Pieces::default()));
    let mut wire = Wire(Slow::default());
    for (pd, bytes) in pieces {
        consoles[*pd].source().0.extend(bytes);
        while drain(&mut consoles, &mut wire) {}
    }
    String::from_utf8(wire.0.sent).unwrap()
}

proptest! {
    /// However their bytes are cut and mixed, each PD's lines come out whole, in order, under its own name.
    #[test]
    fn lines_of_pds_never_mix(pieces in prop::collection::vec((0_usize..3, prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..90)), 0..20)) {
        let out = printed(&pieces);
        for (pd, name) in ["alpha", "beta", "gamma"].into_iter().enumerate() {
            let written: Vec<u8> = pieces.iter().filter(|(p, _)| *p == pd).flat_map(|(_, b)| b.clone()).collect();
            let mut lines: Vec<&[u8]> = written.split(|&b| b == b'\n').collect();
            lines.pop();
            let expected: String = lines.concat().iter().map(|&b| if (b' '..=b'~').contains(&b) { b as char } else { '?' }).collect();
            let prefix = std::format!("{name}: ");
            let found: String = out.split("\r\n").filter_map(|line| line.strip_prefix(&prefix)).collect();
            prop_assert!(found.starts_with(&expected), "{name}: {found:?} is not {expected:?}");
        }
        let whole = out.split_terminator("\r\n").all(|l| ["alpha: ", "beta: ", "gamma: "].iter().any(|p| l.starts_with(p)));
        prop_assert!(whole && (out.is_empty() || out.ends_with("\r\n")), "{out:?}");
    }
}

#[test]
fn a_line_is_printed_once_it_is_whole() {
    let out = printed(&[(0, b"one".to_vec()), (1, b"two\n".to_vec()), (0, b" and\x1b[2J three\nfo".to_vec())]);
    assert_eq!(out, "beta: two\r\nalpha: one and?[2J three\r\n");
}

#[test]
fn a_long_line_is_broken_not_lost() {
    let out = printed(&[(2, [&[b'x'; 300][..], b"\n"].concat())]);
    assert_eq!(out.matches('x').count(), 300);
    assert!(
        out.split_terminator("\r\n")
            .all(|line| line.starts_with("gamma: ") && line.len() <= 7 + crate::line::MOST_BYTES)
    );
}

#[test]
fn lost_output_is_reported_once_after_what_was_kept() {
    let mut consoles = [Console::new("alpha", Pieces(b"kept\n".to_vec().into(), 7))];
    let mut wire = Wire(Slow::default());
    drain(&mut consoles, &mut wire);
    drain(&mut consoles, &mut wire);
    drain(&mut consoles, &mut wire);
    let out = String::from_utf8(wire.0.sent).unwrap();
    assert_eq!(out, "alpha: kept\r\nalpha: (7 bytes of its output were lost)\r\n");
}

#[test]
fn a_stuck_uart_ends_in_an_error() {
    struct Dead;
    impl Uart for Dead {
        fn ready(&self) -> bool {
            false
        }
        fn send(&mut self, _: u8) {
            panic!("sent while it was not ready");
        }
        fn listen(&mut self) {}
        fn receive(&mut self) -> Option<u8> {
            None
        }
    }
    assert_eq!(Wire(Dead).write_all(b"x"), Err(Stuck));
}

/// A register file that records its writes and has a FIFO that is full at every second look.
#[derive(Default)]
struct Registers(RefCell<(Vec<(usize, u32)>, u32)>);

impl Mmio for &Registers {
    fn len(&self) -> usize {
        0x1000
    }
    fn read32(&self, offset: usize) -> u32 {
        let mut state = self.0.borrow_mut();
        state.1 += 1;
        if offset == 0x18 && state.1.is_multiple_of(2) { 0x20 } else { 0x10 }
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.borrow_mut().0.push((offset, value));
    }
    fn read8(&self, _: usize) -> u8 {
        unreachable!("the pl011 has 32-bit registers")
    }
    fn read16(&self, _: usize) -> u16 {
        unreachable!("the pl011 has 32-bit registers")
    }
    fn read64(&self, _: usize) -> u64 {
        unreachable!("the pl011 has 32-bit registers")
    }
    fn write8(&self, _: usize, _: u8) {
        unreachable!("the pl011 has 32-bit registers")
    }
    fn write16(&self, _: usize, _: u16) {
        unreachable!("the pl011 has 32-bit registers")
    }
    fn write64(&self, _: usize, _: u64) {
        unreachable!("the pl011 has 32-bit registers")
    }
}

#[test]
fn the_pl011_is_enabled_and_sends_when_its_fifo_has_room() {
    let registers = Registers::default();
    Wire(Pl011::new(&registers)).write_all(b"a\n").unwrap();
    let sent = [(0x30, 0x10 | 0x101), (0, u32::from(b'a')), (0, 13), (0, 10)];
    assert_eq!(registers.0.borrow().0, sent);
}

#[test]
fn the_16550_is_set_up_and_sends_when_its_holding_register_is_empty() {
    #[derive(Default)]
    struct Com(Vec<(u8, u8)>, core::cell::Cell<u8>);
    impl Ports for &mut Com {
        fn read(&self, register: u8) -> u8 {
            assert_eq!(register, 5);
            self.1.set(self.1.get() ^ 0x20);
            self.1.get()
        }
        fn write(&mut self, register: u8, value: u8) {
            self.0.push((register, value));
        }
    }
    let mut com = Com::default();
    Wire(Ns16550::new(&mut com)).write_all(b"hi").unwrap();
    assert_eq!(com.0, [(3, 3), (1, 0), (0, b'h'), (0, b'i')]);
}

/// Lines as a manager would get them.
#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn line(&mut self, bytes: &[u8]) {
        self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
    }
}

/// The lines that come of what is typed in these pieces, and what is shown.
fn typed(pieces: &[&[u8]]) -> (Vec<String>, String) {
    let mut wire = Wire(Slow::default());
    let mut input = Input::new(Lines::default());
    for piece in pieces {
        wire.0.typed.extend(*piece);
        while !wire.0.typed.is_empty() {
            input.take(&mut wire);
        }
    }
    (input.sink().0.clone(), String::from_utf8(wire.0.sent).unwrap())
}

#[test]
fn what_is_typed_becomes_lines_and_is_shown() {
    let (lines, shown) = typed(&[b"stat", b"us\rctl lost\x7f", b"\x08t\x1b[A\nwrong\x15help\r"]);
    assert_eq!(lines, ["status\n", "ctl lot[A\n", "help\n"]);
    assert!(shown.starts_with("status\r\nctl lost\x08 \x08\x08 \x08t[A\r\n"), "{shown:?}");
    assert!(shown.ends_with("wrong\r     \rhelp\r\n"), "{shown:?}");
}

proptest! {
    /// Whatever is typed: lines hold what can be printed and no more than their length, and nothing else is shown.
    #[test]
    fn any_typing_becomes_short_plain_lines(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (lines, _) = typed(&[&bytes]);
        let ends = bytes.iter().filter(|b| **b == b'\r' || **b == b'\n').count();
        prop_assert_eq!(lines.len(), ends);
        for line in lines {
            let text = line.strip_suffix('\n').unwrap();
            prop_assert!(text.len() < LINE_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}

#[test]
fn what_is_printed_stands_around_the_line_that_is_typed() {
    let mut wire = Wire(Slow::default());
    let mut input = Input::new(Lines::default());
    wire.0.typed.extend(b"sta");
    input.take(&mut wire);
    input.hide(&mut wire);
    drain(&mut [Console::new("alpha", Pieces(b"hello\n".to_vec().into(), 0))], &mut wire);
    input.show(&mut wire);
    assert_eq!(String::from_utf8(wire.0.sent).unwrap(), "sta\r   \ralpha: hello\r\nsta");
}

#[test]
fn both_uarts_receive() {
    #[derive(Default)]
    struct Com(Vec<(u8, u8)>, VecDeque<u8>);
    impl Ports for &RefCell<Com> {
        fn read(&self, register: u8) -> u8 {
            let mut com = self.borrow_mut();
            match register {
                0 => com.1.pop_front().unwrap(),
                _ => 0x20 | u8::from(!com.1.is_empty()),
            }
        }
        fn write(&mut self, register: u8, value: u8) {
            self.borrow_mut().0.push((register, value));
        }
    }
    let com = RefCell::new(Com::default());
    let mut uart = Ns16550::new(&com);
    uart.listen();
    com.borrow_mut().1.extend(b"ok");
    let got: Vec<u8> = core::iter::from_fn(|| uart.receive()).collect();
    assert_eq!((got.as_slice(), &com.borrow().0[2..]), (&b"ok"[..], &[(4, 0b1011), (1, 1)][..]));
    // Its flags say at every second look that the receive FIFO is empty; every character is an overrun of 0x10.
    let registers = Registers::default();
    let mut uart = Pl011::new(&registers);
    uart.listen();
    assert_eq!(registers.0.borrow().0[1..], [(0x30, 0x10 | 0x200), (0x38, 0x50)]);
    assert_eq!(uart.receive(), None);
}
