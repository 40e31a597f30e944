//! The QR code.

use crate::error::{Error, Result};
use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};
use zeroize::Zeroizing;

/// The largest that is made: 97 modules a side. A share's line needs 49; much
/// more could not be photographed from paper.
const LARGEST: Version = Version::new(20);

/// Modules around a code that must stay white.
pub const QUIET: i32 = 4;

/// A code, as the runs of dark modules in its rows.
pub struct Code {
    /// Modules a side, without the quiet zone.
    pub size: i32,
    /// Column, row and length of each run.
    pub runs: Zeroizing<Vec<(i32, i32, i32)>>,
}

impl Code {
    /// Of a line of text, in upper case: the code's alphanumeric mode takes two
    /// thirds of the room.
    pub fn new(line: &str) -> Result<Self> {
        let mut upper = Zeroizing::new(String::with_capacity(line.len()));
        upper.extend(line.chars().map(|c| c.to_ascii_uppercase()));
        let mut work = Zeroizing::new(vec![0; LARGEST.buffer_len()]);
        let mut out = Zeroizing::new(vec![0; LARGEST.buffer_len()]);
        // A quarter of it may be dirty or torn.
        let code = QrCode::encode_text(
            &upper,
            &mut work,
            &mut out,
            QrCodeEcc::Quartile,
            Version::MIN,
            LARGEST,
            None,
            true,
        )
        .map_err(|_| Error::Malformed("a share that is too long for a QR code"))?;
        let size = code.size();
        // Never grown: no row has more runs than every second module.
        let most = usize::try_from(size * (size + 1) / 2).unwrap_or_default();
        let mut runs = Zeroizing::new(Vec::with_capacity(most));
        for y in 0..size {
            let mut x = 0;
            while x < size {
                let length = (x..size).take_while(|x| code.get_module(*x, y)).count();
                let length = i32::try_from(length).unwrap_or_default();
                if length > 0 {
                    runs.push((x, y, length));
                }
                x += length + 1;
            }
        }
        Ok(Self { size, runs })
    }
}
