//! Shamir's scheme over GF(2^8) with the polynomial 0x11D, through the crate
//! `sharks`. That gives a wrong secret for duplicates, index zero, mixed sets and
//! too few shares, so all of these are found here before it is called.

use crate::{Error, Header, Result, Share, limits, random};
use hpke::rand_core::CryptoRng;
use sharks::Sharks;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Splits a secret into the shares of a set, 1 to `header.count`.
pub fn deal(secret: &[u8], header: &Header) -> Result<Vec<Share>> {
    if !header.is_sound() {
        return Err(Error::Counts);
    }
    if !limits::SHARE.contains(&secret.len()) {
        return Err(Error::KeyLength);
    }
    // One number of 32 bits a coefficient; as many again, should the crate ever
    // draw differently.
    let coefficients = secret.len() * usize::from(header.threshold - 1);
    let mut pool = random::Pool::new(coefficients * 8)?;
    let shares = deal_with(secret, header, &mut pool)?;
    pool.sufficed()?;
    Ok(shares)
}

/// The crate frees its polynomials, whose last coefficients are the secret, without
/// wiping them. So it is given the secret under a mask: what a polynomial's last
/// coefficient lacks, each of its values lacks too.
fn deal_with(secret: &[u8], header: &Header, rng: &mut impl CryptoRng) -> Result<Vec<Share>> {
    let mut mask = Zeroizing::new(vec![0; secret.len()]);
    random::fill(&mut mask)?;
    let masked = Zeroizing::new(xor(secret, &mask));
    Sharks(header.threshold)
        .dealer_rng(&masked, rng)
        .take(usize::from(header.count))
        .map(|share| {
            let bytes = Zeroizing::new(Vec::from(&share));
            let (index, value) = bytes.split_first().ok_or(Error::Random)?;
            Share::new(*header, *index, &Zeroizing::new(xor(value, &mask)))
        })
        .collect()
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// The secret of at least `threshold` shares of one set.
pub fn combine(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>> {
    let Some(first) = shares.first() else {
        return Err(Error::TooFew {
            have: 0,
            need: usize::from(limits::THRESHOLD),
        });
    };
    let header = first.header();
    for share in shares {
        if share.header().vault != header.vault {
            return Err(Error::OtherVault);
        }
        if share.header() != header {
            return Err(Error::MixedSets);
        }
    }
    let points = shares.iter().map(|s| (s.index(), s.expose()));
    interpolate(&points.collect::<Vec<_>>(), header.threshold)
}

/// The secret of these points, which must be `threshold` or more, after every
/// check that needs no header.
pub fn interpolate(points: &[(u8, &[u8])], threshold: u8) -> Result<Zeroizing<Vec<u8>>> {
    let mut seen = [false; 256];
    let length = points.first().map_or(0, |(_, value)| value.len());
    for (index, value) in points {
        if *index == 0 {
            return Err(Error::IndexZero);
        }
        // An index of eight bits is always in the table.
        if let Some(seen) = seen.get_mut(usize::from(*index))
            && std::mem::replace(seen, true)
        {
            return Err(Error::Duplicate { index: *index });
        }
        if value.len() != length || !limits::SHARE.contains(&length) {
            return Err(Error::Lengths);
        }
    }
    let (have, need) = (points.len(), usize::from(threshold));
    let too_few = Err(Error::TooFew { have, need });
    if threshold < limits::THRESHOLD {
        return Err(Error::BadHeader);
    }
    let Some(enough) = points.get(..need) else {
        return too_few;
    };
    let secret = recover(enough, threshold)?;
    if have > need {
        // Points beyond the threshold lie on the same curve.
        let all = recover(points, threshold)?;
        if !bool::from(all.ct_eq(&secret)) {
            return Err(Error::Inconsistent);
        }
    }
    Ok(secret)
}

fn recover(points: &[(u8, &[u8])], threshold: u8) -> Result<Zeroizing<Vec<u8>>> {
    let mut shares = Vec::with_capacity(points.len());
    for (index, value) in points {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + value.len()));
        bytes.push(*index);
        bytes.extend_from_slice(value);
        shares.push(sharks::Share::try_from(bytes.as_slice()).map_err(|_| Error::Lengths)?);
    }
    let scheme = Sharks(threshold);
    let secret = scheme.recover(&shares);
    secret.map(Zeroizing::new).map_err(|_| Error::TooFew {
        have: points.len(),
        need: usize::from(threshold),
    })
}
