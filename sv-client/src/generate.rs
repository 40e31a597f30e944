//! Random values.

use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// 64 characters that mean nothing in a URL or a shell: six random bits each,
/// all equally likely.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How long a value is where no length was asked for: 192 bits.
pub const DEFAULT: usize = 32;

/// The lengths that can be asked for. Fewer than 48 bits are no secret.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;

/// A random value of `length` characters.
pub fn value(length: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; length]);
    getrandom::fill(&mut out).map_err(|_| Error::Random)?;
    for byte in out.iter_mut() {
        *byte = ALPHABET[usize::from(*byte & 63)];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_and_of_the_length_asked_for() {
        assert_eq!(value(8).unwrap().len(), 8);
        let many = value(64 * 1000).unwrap();
        for c in ALPHABET {
            let n = many.iter().filter(|b| *b == c).count();
            assert!((700..1300).contains(&n), "{} appears {n} times", *c as char);
        }
        assert!(many.iter().all(|b| ALPHABET.contains(b)));
        assert_ne!(*value(32).unwrap(), *value(32).unwrap());
    }
}
