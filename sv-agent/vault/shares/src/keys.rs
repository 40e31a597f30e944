//! A set of shares of any key, which belongs to no vault: its vault id is zero and
//! its set id commits to the key, so that a result is known to be right.
//!
//! A commitment to a guessable key would let a single holder try guesses. So what is
//! split is the key and random bytes, and the commitment is to both.

use crate::{Error, Header, Result, Share, envelope::check, limits, random, shamir};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The vault id of such a set.
pub const NO_VAULT: [u8; 16] = [0; 16];

/// Splits a key.
pub fn split(key: &[u8], threshold: u8, count: u8) -> Result<Vec<Share>> {
    if !limits::KEY.contains(&key.len()) {
        return Err(Error::KeyLength);
    }
    let mut blind = Zeroizing::new([0; limits::BLIND]);
    random::fill(blind.as_mut_slice())?;
    let mut secret = Zeroizing::new(Vec::with_capacity(key.len() + blind.len()));
    secret.extend_from_slice(key);
    secret.extend_from_slice(blind.as_slice());
    let header = Header {
        vault: NO_VAULT,
        set: check("sv1/share/key", &secret),
        threshold,
        count,
        epoch: 0,
    };
    shamir::deal(&secret, &header)
}

/// The key, and certainly that one.
pub fn combine(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>> {
    if shares.iter().any(|s| s.header().vault != NO_VAULT) {
        return Err(Error::OtherVault);
    }
    let mut secret = shamir::combine(shares)?;
    let set: [u8; 16] = check("sv1/share/key", &secret);
    let right = shares.iter().all(|s| s.header().set.ct_eq(&set).into());
    let key = secret.len().checked_sub(limits::BLIND);
    match key.filter(|key| right && limits::KEY.contains(key)) {
        Some(key) => {
            // The rest is wiped with the buffer.
            secret.truncate(key);
            Ok(secret)
        }
        None => Err(Error::WrongKey),
    }
}
