// SPDX-License-Identifier: MIT
//! Commands (sections 4.2, 5 and 6): 64 bytes, here as eight words of which the driver uses six.

/// What is not zero of a command: its first word, its two data pointers, and dwords 10 to 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Dwords 0 and 1: opcode, flags, command identifier; namespace.
    pub head: u64,
    /// Dwords 6 and 7: PRP entry 1, or the first half of an SGL descriptor.
    pub first: u64,
    /// Dwords 8 and 9: PRP entry 2, or the second half of an SGL descriptor.
    pub second: u64,
    /// Dwords 10 and 11.
    pub low: u64,
    /// Dwords 12 and 13.
    pub middle: u64,
    /// Dwords 14 and 15.
    pub high: u64,
}

impl Command {
    /// An administrative command whose data is at this bus address, 0 for none.
    pub const fn admin(opcode: u8, namespace: u32, data: u64) -> Self {
        let head = opcode as u64 | (namespace as u64) << 32;
        Self { head, first: data, second: 0, low: 0, middle: 0, high: 0 }
    }

    /// With these dwords 10 and 11.
    #[must_use]
    pub const fn with(self, ten: u32, eleven: u32) -> Self {
        Self { low: ten as u64 | (eleven as u64) << 32, ..self }
    }

    /// With this command identifier.
    #[must_use]
    pub const fn called(self, id: u16) -> Self {
        Self { head: self.head & !0xffff_0000 | (id as u64) << 16, ..self }
    }

    /// Its command identifier.
    pub const fn id(&self) -> u16 {
        (self.head >> 16 & 0xffff) as u16
    }

    /// As the queue has it.
    pub const fn words(self) -> [u64; 8] {
        [self.head, 0, 0, self.first, self.second, self.low, self.middle, self.high]
    }
}

/// PSDT (figure 105): the data pointer is an SGL descriptor.
pub const SGL: u64 = 1 << 14;
/// Every namespace.
pub const ALL: u32 = u32::MAX;

/// Administrative opcodes (section 5).
pub mod admin {
    /// Create I/O submission queue.
    pub const CREATE_SQ: u8 = 0x01;
    /// Get log page.
    pub const GET_LOG: u8 = 0x02;
    /// Create I/O completion queue.
    pub const CREATE_CQ: u8 = 0x05;
    /// Identify.
    pub const IDENTIFY: u8 = 0x06;
    /// Abort.
    pub const ABORT: u8 = 0x08;
    /// Set features.
    pub const SET_FEATURES: u8 = 0x09;
    /// Get features.
    pub const GET_FEATURES: u8 = 0x0a;
    /// Asynchronous event request.
    pub const EVENT: u8 = 0x0c;
    /// Namespace management.
    pub const NAMESPACE: u8 = 0x0d;
    /// Namespace attachment.
    pub const ATTACHMENT: u8 = 0x15;
    /// Doorbell buffer config.
    pub const DOORBELLS: u8 = 0x7c;
    /// Format NVM.
    pub const FORMAT: u8 = 0x80;
    /// Sanitize.
    pub const SANITIZE: u8 = 0x84;
}

/// Opcodes of the NVM command set (section 6).
pub mod nvm {
    /// Flush.
    pub const FLUSH: u8 = 0x00;
    /// Write.
    pub const WRITE: u8 = 0x01;
    /// Read.
    pub const READ: u8 = 0x02;
    /// Write zeroes.
    pub const WRITE_ZEROES: u8 = 0x08;
    /// Dataset management.
    pub const DATASET: u8 = 0x09;
    /// Compare.
    pub const COMPARE: u8 = 0x05;
    /// Verify.
    pub const VERIFY: u8 = 0x0c;
    /// Zone management send (TP 4053).
    pub const ZONE_SEND: u8 = 0x79;
    /// Zone management receive (TP 4053).
    pub const ZONE_RECEIVE: u8 = 0x7a;
    /// Zone append (TP 4053).
    pub const ZONE_APPEND: u8 = 0x7d;
    /// Force unit access, in dword 12 of a write.
    pub const FUA: u64 = 1 << 30;
    /// The deallocate attribute, in dword 11 of dataset management.
    pub const DEALLOCATE: u64 = 1 << (32 + 2);
    /// PRACT, in dword 12: the controller makes protection information, checks and strips it (section 8.3).
    pub const PRACT: u64 = 1 << 29;
    /// PRCHK in dword 12: guard, and reference tag.
    pub const PRCHK_GUARD: u64 = 1 << 28;
    /// PRCHK in dword 12: reference tag.
    pub const PRCHK_REF: u64 = 1 << 26;
}

/// What Identify is asked for (CNS, figure 244).
pub mod cns {
    /// A namespace.
    pub const NAMESPACE: u32 = 0;
    /// The controller.
    pub const CONTROLLER: u32 = 1;
    /// The identifiers of the active namespaces.
    pub const LIST: u32 = 2;
    /// What a namespace is called.
    pub const NAMES: u32 = 3;
    /// What a namespace's command set has to say of it (TP 4056).
    pub const OF_SET: u32 = 5;
    /// What a controller has to say of a command set (TP 4056).
    pub const CONTROLLER_OF_SET: u32 = 6;
    /// The identifiers of all namespaces, attached or not.
    pub const ALLOCATED: u32 = 0x10;
    /// A namespace, attached or not.
    pub const ALLOCATED_NAMESPACE: u32 = 0x11;
}

/// Features (section 5.21.1).
pub mod feature {
    /// Arbitration.
    pub const ARBITRATION: u32 = 0x01;
    /// Interrupt coalescing.
    pub const COALESCING: u32 = 0x08;
    /// Power management.
    pub const POWER: u32 = 0x02;
    /// Volatile write cache.
    pub const CACHE: u32 = 0x06;
    /// Number of queues.
    pub const QUEUES: u32 = 0x07;
    /// Asynchronous event configuration.
    pub const EVENTS: u32 = 0x0b;
    /// Autonomous power state transition.
    pub const IDLE_POWER: u32 = 0x0c;
}

/// Log pages (section 5.14.1).
pub mod page {
    /// Error information.
    pub const ERRORS: u8 = 0x01;
    /// SMART / health information.
    pub const HEALTH: u8 = 0x02;
    /// Firmware slot information.
    pub const FIRMWARE: u8 = 0x03;
    /// Changed namespace list.
    pub const CHANGED: u8 = 0x04;
    /// Asymmetric namespace access.
    pub const ACCESS: u8 = 0x0c;
    /// Changed zone list (TP 4053).
    pub const CHANGED_ZONES: u8 = 0xbf;
    /// Sanitize status.
    pub const SANITIZE: u8 = 0x81;
}
