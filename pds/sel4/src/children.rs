// SPDX-License-Identifier: MIT
//! A supervisor's children: what the kernel says of their ends, and how they are stopped and begin again.
use crate::end::End;
use crate::restart;
use orion_pd::{Cause, Fault};
use sel4::sys;
use sel4_microkit::{Child, MessageInfo, get_mr};

/// Most children of a PD: those that the supervisor's configuration can name.
const MOST: u8 = 62;
/// An address where no PD has anything.
pub const NOWHERE: u64 = 8;
/// A breakpoint, and on aarch64 what a compiler makes of "can't happen". Only kernels with the debug API tell it so.
const DEBUG_EXCEPTION: u64 = 4;

fn tcb(child: u8) -> Option<sel4::cap::Tcb> {
    (child < MOST).then(|| Child::new(usize::from(child)).tcb())
}

/// Stops `child`, whatever it does.
pub fn stop(child: u8) {
    // Fails only for a child that is none of ours.
    let _refused = tcb(child).map(sel4::cap::Tcb::tcb_suspend);
}

/// Lets `child` begin anew, whatever it does; whether there is such a child.
pub fn begin(child: u8) -> bool {
    jump(child, restart::ENTRY)
}

/// Lets `child` go on at `address`, whatever it does; whether there is such a child.
pub fn jump(child: u8, address: u64) -> bool {
    let mut registers = sel4::UserContext::default();
    *program_counter(&mut registers) = address;
    // The first register alone: the program counter.
    tcb(child).is_some_and(|tcb| tcb.tcb_write_registers(true, 1, &mut registers).is_ok())
}

fn program_counter(registers: &mut sel4::UserContext) -> &mut u64 {
    let registers = registers.inner_mut();
    #[cfg(target_arch = "aarch64")]
    let counter = &mut registers.pc;
    #[cfg(target_arch = "x86_64")]
    let counter = &mut registers.rip;
    counter
}

/// Where `child` stands; 0 where there is no such child.
fn counter(child: u8) -> u64 {
    let registers = tcb(child).and_then(|tcb| tcb.tcb_read_registers(false, 1).ok());
    registers.map_or(0, |mut registers| *program_counter(&mut registers))
}

/// What the kernel's message says of the end of `child`.
pub fn fault(child: Child, message: &MessageInfo) -> Option<Fault> {
    let child = u8::try_from(child.index()).ok()?;
    // `MessageInfo::fault` would panic on some of these.
    let cause = match message.label() {
        sys::seL4_Fault_tag::seL4_Fault_VMFault => Cause::Memory(word(sys::seL4_VMFault_Msg::seL4_VMFault_Addr)),
        sys::seL4_Fault_tag::seL4_Fault_UserException | DEBUG_EXCEPTION => {
            Cause::Instruction(word(sys::seL4_UserException_Msg::seL4_UserException_FaultIP))
        }
        sys::seL4_Fault_tag::seL4_Fault_UnknownSyscall => {
            let call = word(sys::seL4_UnknownSyscall_Msg::seL4_UnknownSyscall_Syscall);
            match End::of(call) {
                Some(End::Panic) => Cause::Panic,
                Some(End::Start) => Cause::Start,
                None => Cause::Denied(call),
            }
        }
        sys::seL4_Fault_tag::seL4_Fault_CapFault => Cause::Denied(word(sys::seL4_CapFault_Msg::seL4_CapFault_Addr)),
        // On aarch64 what the kernel takes for a virtual machine's: a breakpoint, without the debug API. It says not where.
        _ => Cause::Instruction(counter(child)),
    };
    Some(Fault { child, cause })
}

/// A word of the kernel's message; it has as many as its label says.
fn word(index: u64) -> u64 {
    usize::try_from(index).map_or(0, get_mr)
}
