// SPDX-License-Identifier: MIT
//! What a plain sDDF client prints.
use orion_region::Window;
use orion_ring::AttachError;
use orion_ring::serial::Reader;

/// Looks at the queue in one call: a client that prints nothing but carriage returns keeps nobody waiting.
const MOST_LOOKS: usize = 4;

/// The serial queue of an sDDF client. sDDF ends lines with CR and LF; the console's own line ends are enough.
#[derive(Debug)]
pub struct Plain(Reader);

impl Plain {
    /// Takes the reading end.
    ///
    /// # Errors
    /// As [`Reader::attach`].
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        Reader::attach(window).map(Self)
    }

    /// As [`Reader::read`], without carriage returns.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let mut kept = 0;
        for _ in 0..MOST_LOOKS {
            let Some(room) = to.get_mut(kept..).filter(|room| !room.is_empty()) else { break };
            let read = self.0.read(room);
            if read == 0 {
                break;
            }
            kept += without_returns(room.get_mut(..read).unwrap_or_default());
        }
        kept
    }

    /// As [`Reader::wants_signal`].
    pub fn wants_signal(&mut self) -> bool {
        self.0.wants_signal()
    }
}

/// Moves what is no carriage return to the front; how many bytes that is.
fn without_returns(bytes: &mut [u8]) -> usize {
    let mut kept = 0;
    for at in 0..bytes.len() {
        if let Some(byte) = bytes.get(at).copied().filter(|byte| *byte != b'\r')
            && let Some(to) = bytes.get_mut(kept)
        {
            *to = byte;
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_carriage_returns_go() {
        let mut bytes = *b"a\r\nb\r\r\n\r";
        let kept = super::without_returns(&mut bytes);
        assert_eq!(&bytes[..kept], b"a\nb\n");
    }
}
