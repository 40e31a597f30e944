//! Bytes as one line of text in the manner of bech32m, with the long checksum of
//! codex32 (BIP-93): it finds any 8 wrong characters in a line of at most
//! 1,023, and one or two are located. `SHARES.md` §2.

use crate::{Error, Result, limits};
use bech32::{
    Checksum, Fe32, Fe1024, Hrp,
    primitives::{
        checksum::Engine,
        gf32_ext::Fe32Ext,
        iter::{ByteIterExt, Fe32IterExt},
    },
};
use zeroize::Zeroizing;

/// What a line begins with, without the 1 after it.
pub type Prefix = &'static str;

/// A share.
pub const SHARE: Prefix = "svshare";
/// The public key of a ceremony.
pub const KEY: Prefix = "svrecover";
/// A share that is sealed to one.
pub const SEALED: Prefix = "svsealed";

/// The checksum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Long {}

impl Checksum for Long {
    type MidstateRepr = u128;
    type CorrectionField = Fe32Ext<2>;
    const ROOT_GENERATOR: Self::CorrectionField = Fe1024::new([Fe32::Y, Fe32::_9]);
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = 1020..=1027;
    const CODE_LENGTH: usize = 1023;
    const CHECKSUM_LENGTH: usize = 15;
    const GENERATOR_SH: [u128; 5] = [
        0x03d5_9d27_3535_ea62_d897,
        0x07a9_becb_6361_c6c5_1507,
        0x0543_f9b7_e6c3_8d8a_2a0e,
        0x00c5_77ea_eccf_1990_d13c,
        0x0188_7f74_f8dc_71b1_0651,
    ];
    const TARGET_RESIDUE: u128 = 0x0433_81e5_70bf_4798_ab26;
}

/// Without spaces and without lines that begin with `#`. `None` if it is longer
/// than anything that could be meant.
pub fn compact(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() > limits::TEXT {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    for line in lines(text) {
        out.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
    }
    Some(out)
}

/// The lines that are not comments.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n')
        .filter(|line| !line.trim_ascii_start().starts_with(b"#"))
}

/// How text compares with the beginning that it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It has it.
    Same,
    /// It is a mistyped one; the first wrong character, from 1.
    Mistyped(usize),
    /// It ends before the beginning does.
    CutShort,
    /// It is something else.
    Other,
}

pub fn likeness(prefix: Prefix, compact: &[u8]) -> Likeness {
    let mut wrong = prefix
        .bytes()
        .chain([b'1'])
        .zip(compact)
        .enumerate()
        .filter(|(_, (want, have))| *want != have.to_ascii_lowercase())
        .map(|(at, _)| at + 1);
    let first = wrong.next();
    let more = wrong.count();
    match first {
        None if compact.is_empty() => Likeness::Other,
        None if compact.len() <= prefix.len() => Likeness::CutShort,
        None => Likeness::Same,
        Some(at) if more < limits::PREFIX_TYPOS && compact.len() > prefix.len() => {
            Likeness::Mistyped(at)
        }
        Some(_) => Likeness::Other,
    }
}

/// The line for `bytes`.
pub fn encode(prefix: Prefix, bytes: &[u8]) -> Zeroizing<String> {
    let hrp = Hrp::parse_unchecked(prefix);
    let length = prefix.len() + 1 + bytes.len().div_ceil(5) * 8 + Long::CHECKSUM_LENGTH;
    // Never grown, which would leave a copy behind.
    let mut out = Zeroizing::new(String::with_capacity(length));
    out.extend(
        bytes
            .iter()
            .copied()
            .bytes_to_fes()
            .with_checksum::<Long>(&hrp)
            .chars(),
    );
    out
}

/// The bytes of a compact line whose beginning is [`Likeness::Same`].
pub fn decode(prefix: Prefix, line: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let typo = |position| Err(Error::Typo { position });
    if let Some(position) = strange(prefix, line) {
        return typo(Some(position));
    }
    let beginning = prefix.len() + 1;
    let symbols = line.get(beginning..).unwrap_or_default();
    let Some(count) = symbols.len().checked_sub(Long::CHECKSUM_LENGTH) else {
        return Err(Error::Truncated);
    };
    if line.len() > Long::CODE_LENGTH {
        return typo(None);
    }
    let mut engine = Engine::<Long>::new();
    engine.input_hrp(Hrp::parse_unchecked(prefix));
    for symbol in fes(symbols) {
        engine.input_fe(symbol);
    }
    let difference = engine.residue() ^ Long::TARGET_RESIDUE;
    if difference != 0 {
        let position = locate(difference, symbols.len());
        return typo(position.map(|at| beginning + at + 1));
    }
    let symbols = symbols.get(..count).unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(count * 5 / 8));
    out.extend(fes(symbols).fes_to_bytes());
    // What is left over of the last character is less than one, and zero.
    let canonical = out.iter().copied().bytes_to_fes().eq(fes(symbols));
    if canonical { Ok(out) } else { typo(None) }
}

/// The symbols, up to the first character that is none.
fn fes(symbols: &[u8]) -> impl Iterator<Item = Fe32> {
    symbols
        .iter()
        .map_while(|b| Fe32::from_char(char::from(*b)).ok())
}

/// The first bytes of a line, whatever its checksum.
pub fn peek(prefix: Prefix, line: &[u8], count: usize) -> Option<Zeroizing<Vec<u8>>> {
    let symbols = line.get(prefix.len() + 1..)?;
    let mut out = Zeroizing::new(Vec::with_capacity(count));
    out.extend(fes(symbols).fes_to_bytes().take(count));
    (out.len() == count).then_some(out)
}

/// How many characters a line of so many bytes has.
pub const fn length(prefix: Prefix, bytes: usize) -> usize {
    prefix.len() + 1 + (bytes * 8).div_ceil(5) + Long::CHECKSUM_LENGTH
}

/// The first character that no such line has: not of the alphabet, or of the other
/// case than most.
fn strange(prefix: Prefix, line: &[u8]) -> Option<usize> {
    let upper = line.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = line.iter().filter(|b| b.is_ascii_lowercase()).count();
    let wrong = |b: &u8| match upper > lower {
        true => b.is_ascii_lowercase(),
        false => b.is_ascii_uppercase(),
    };
    let beginning = prefix.len() + 1;
    line.iter()
        .enumerate()
        .find(|(at, b)| wrong(b) || (*at >= beginning && Fe32::from_char(char::from(**b)).is_err()))
        .map(|(at, _)| at + 1)
}

/// The first wrong symbol of so many, if one or two are wrong; the checksum makes
/// that certain, were it not that more may be wrong. So it is said and never mended.
///
/// The checksum is linear: its difference is the sum of what each wrong symbol does
/// alone. (The crate's own corrector can locate four, but panics where it can't.)
fn locate(difference: u128, symbols: usize) -> Option<usize> {
    let mut alone = Vec::with_capacity(31 * symbols);
    for change in Fe32::iter_alpha().filter(|change| *change != Fe32::Q) {
        let (mut without, mut with) = (Engine::<Long>::new(), Engine::<Long>::new());
        without.input_fe(Fe32::Q);
        with.input_fe(change);
        for from_end in 0..symbols {
            alone.push((without.residue() ^ with.residue(), symbols - 1 - from_end));
            without.input_fe(Fe32::Q);
            with.input_fe(Fe32::Q);
        }
    }
    alone.sort_unstable();
    let find = |effect: u128| {
        let found = alone.binary_search_by_key(&effect, |(effect, _)| *effect);
        found.ok().and_then(|i| alone.get(i)).map(|(_, at)| *at)
    };
    let pair = |(effect, at): &(u128, usize)| {
        find(difference ^ effect)
            .filter(|other| other != at)
            .map(|other| other.min(*at))
    };
    find(difference).or_else(|| alone.iter().find_map(pair))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bech32::primitives::decode::CheckedHrpstring;

    /// BIP-93's own example of the long checksum.
    const BIP_93: &str = "MS100C8VSM32ZXFGUHPCHTLUPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZYGSFJD\
                          6AN074RXVCEMLH8WU3TK925ACDEFGHJKLMNPQRSTUVWXY06FHPV80UNDVARHRAK";

    #[test]
    fn the_checksum_is_that_of_bip_93() {
        Long::sanity_check();
        CheckedHrpstring::new::<Long>(BIP_93).unwrap();
        assert!(CheckedHrpstring::new::<Long>(&BIP_93.replace("C8V", "C8W")).is_err());
    }

    #[test]
    fn lines_have_the_length_that_is_foretold() {
        for size in [0, 1, 4, 5, 61, 77, 125, 200] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 37 % 251) as u8).collect();
            let line = encode(SHARE, &bytes);
            assert_eq!(line.len(), length(SHARE, size), "{size}");
            assert_eq!(*decode(SHARE, line.as_bytes()).unwrap(), bytes);
            let upper = line.to_uppercase();
            assert_eq!(*decode(SHARE, upper.as_bytes()).unwrap(), bytes);
            if size > 0 {
                let peeked = peek(SHARE, line.as_bytes(), size).unwrap();
                assert_eq!(*peeked, bytes);
            }
        }
    }

    #[test]
    fn one_or_two_wrong_characters_are_located() {
        let line = encode(SHARE, &[0x5a; 77]);
        let beginning = SHARE.len() + 1;
        for at in beginning..line.len() {
            for wrong in 1..=2 {
                let mut bad = line.as_bytes().to_vec();
                let mut first = usize::MAX;
                for n in 0..wrong {
                    let at = beginning + (at - beginning + n * 29) % (line.len() - beginning);
                    bad[at] = if bad[at] == b'q' { b'p' } else { b'q' };
                    first = first.min(at);
                }
                let position = Some(first + 1);
                assert_eq!(
                    decode(SHARE, &bad).unwrap_err(),
                    Error::Typo { position },
                    "{wrong} from {at}"
                );
            }
        }
    }

    #[test]
    fn case_and_alphabet() {
        let line = encode(SHARE, &[7; 77]);
        let mut bad = line.as_bytes().to_vec();
        for (at, with) in [(20, b'b'), (0, b'S'), (100, b'?')] {
            let kept = bad[at];
            bad[at] = with;
            let position = Some(at + 1);
            assert_eq!(decode(SHARE, &bad).unwrap_err(), Error::Typo { position });
            bad[at] = kept;
        }
    }

    #[test]
    fn beginnings() {
        assert_eq!(likeness(SHARE, b"SvShare1q"), Likeness::Same);
        assert_eq!(likeness(SHARE, b"svshare1"), Likeness::Same);
        assert_eq!(likeness(SHARE, b"svshara1qq"), Likeness::Mistyped(7));
        assert_eq!(likeness(SHARE, b"xvsharel"), Likeness::Mistyped(1));
        assert_eq!(likeness(SHARE, b"svsha"), Likeness::CutShort);
        assert_eq!(likeness(SHARE, b""), Likeness::Other);
        assert_eq!(likeness(SHARE, b"svsealed1qqq"), Likeness::Other);
        assert_eq!(likeness(SHARE, b"svrecover1qqq"), Likeness::Other);
    }
}
