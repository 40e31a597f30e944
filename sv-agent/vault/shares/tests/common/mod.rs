//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part")]

use sv_shares::{Header, Share, deal};

/// splitmix64: random enough for tests, and the same on every run.
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.number() % (high - low + 1) as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.number() as u8).collect()
    }

    pub fn id(&mut self) -> [u8; 16] {
        self.bytes(16).try_into().unwrap()
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.within(0, at));
        }
    }
}

pub fn header(random: &mut Random, threshold: u8, count: u8) -> Header {
    Header {
        vault: random.id(),
        set: random.id(),
        threshold,
        count,
        epoch: random.number() as u32,
    }
}

/// A set of a random key of 32 bytes.
pub fn set(random: &mut Random, threshold: u8, count: u8) -> (Vec<u8>, Vec<Share>) {
    let key = random.bytes(32);
    let header = header(random, threshold, count);
    let shares = deal(&key, &header).unwrap();
    (key, shares)
}

pub fn again(share: &Share) -> Share {
    Share::new(*share.header(), share.index(), share.expose()).unwrap()
}

/// All subsets of `size` of the numbers below `count`.
pub fn subsets(count: usize, size: usize) -> Vec<Vec<usize>> {
    (0u32..1 << count)
        .filter(|set| set.count_ones() as usize == size)
        .map(|set| (0..count).filter(|i| set >> i & 1 == 1).collect())
        .collect()
}
