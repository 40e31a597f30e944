//! The text of a share, taken apart and put together anew: a second
//! implementation of `sv-agent/vault/shares/SHARES.md` §1 and §2, for shares
//! that no dealer makes.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const PREFIX: &str = "svshare";
const GENERATOR: [u128; 5] = [
    0x03d5_9d27_3535_ea62_d897,
    0x07a9_becb_6361_c6c5_1507,
    0x0543_f9b7_e6c3_8d8a_2a0e,
    0x00c5_77ea_eccf_1990_d13c,
    0x0188_7f74_f8dc_71b1_0651,
];
const TARGET: u128 = 0x0433_81e5_70bf_4798_ab26;
const CHECKSUM: usize = 15;

/// Where the fields of an envelope are.
pub const VAULT: usize = 1;
/// The set.
pub const SET: usize = 17;
/// The index.
pub const INDEX: usize = 33;
/// The threshold.
pub const THRESHOLD: usize = 34;
/// The count.
pub const COUNT: usize = 35;
/// The share itself.
pub const SHARE: usize = 41;

/// The characters that a share is written with, for replacing one by another.
pub const fn alphabet() -> &'static [u8; 32] {
    ALPHABET
}

fn checksum(symbols: &[u8]) -> [u8; CHECKSUM] {
    let mut state: u128 = 1;
    let mut add = |symbol: u8| {
        let top = state >> 70;
        state = ((state & ((1 << 70) - 1)) << 5) ^ u128::from(symbol);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                state ^= generator;
            }
        }
    };
    PREFIX.bytes().for_each(|b| add(b >> 5));
    add(0);
    PREFIX.bytes().for_each(|b| add(b & 31));
    symbols.iter().for_each(|s| add(*s));
    (0..CHECKSUM).for_each(|at| add((TARGET >> (5 * (CHECKSUM - 1 - at))) as u8 & 31));
    std::array::from_fn(|at| (state >> (5 * (CHECKSUM - 1 - at))) as u8 & 31)
}

/// The envelope in a line; both checksums must fit.
pub fn take_apart(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let symbols: Vec<u8> = text[PREFIX.len() + 1..]
        .iter()
        .map(|c| ALPHABET.iter().position(|a| a == c).expect("a symbol") as u8)
        .collect();
    let (symbols, check) = symbols.split_at(symbols.len() - CHECKSUM);
    assert_eq!(check, checksum(symbols), "the checksum of the line");
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for symbol in symbols {
        held = (held << 5) | u32::from(*symbol);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    let (body, check) = bytes.split_at(bytes.len() - 4);
    assert_eq!(check, inner(body), "the checksum of the envelope");
    body.to_vec()
}

/// A line with this envelope and the right checksums.
pub fn put_together(body: &[u8]) -> Vec<u8> {
    let bytes = [body, &inner(body)].concat();
    let mut symbols = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            symbols.push((held >> bits) as u8 & 31);
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        symbols.push((held << (5 - bits)) as u8 & 31);
    }
    let check = checksum(&symbols);
    let mut text = format!("{PREFIX}1").into_bytes();
    text.extend(
        symbols
            .iter()
            .chain(&check)
            .map(|s| ALPHABET[usize::from(*s)]),
    );
    text
}

/// The same envelope with another byte at `at`.
pub fn with_byte(text: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut body = take_apart(text);
    body[at] = byte;
    put_together(&body)
}

fn inner(body: &[u8]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(b"sv1/share/line\0");
    hash.update(body);
    let hash = hash.finalize();
    std::array::from_fn(|at| hash[at])
}
