//! Argon2id, RFC 9106: bounds before memory, and memory of our own.

use crate::{Error, Result, crypto::Key32, limits, sys};
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use zeroize::Zeroizing;

/// Argon2id's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes, one thread each.
    pub lanes: u32,
}

impl Default for KdfParams {
    fn default() -> Self {
        Self {
            memory_kib: 65_536,
            passes: 3,
            lanes: 4,
        }
    }
}

impl KdfParams {
    /// Within floor and ceiling, see [`limits`].
    #[must_use]
    pub fn in_bounds(self) -> bool {
        limits::KDF_MEMORY.contains(&self.memory_kib)
            && limits::KDF_PASSES.contains(&self.passes)
            && limits::KDF_LANES.contains(&self.lanes)
    }
}

/// The 32 bytes of a password, once the parameters are within bounds.
pub fn password(password: &[u8], salt: &[u8; 32], params: KdfParams) -> Result<Key32> {
    if !params.in_bounds() {
        return Err(Error::Damaged("key derivation parameters out of bounds"));
    }
    argon2id(password, salt, params, &[], &[])
}

/// Argon2id without bounds; `secret` and `data` are RFC 9106's K and X.
fn argon2id(
    password: &[u8],
    salt: &[u8],
    params: KdfParams,
    secret: &[u8],
    data: &[u8],
) -> Result<Key32> {
    let failed = |e: argon2::Error| Error::System(format!("Argon2id: {e}"));
    let params = ParamsBuilder::new()
        .m_cost(params.memory_kib)
        .t_cost(params.passes)
        .p_cost(params.lanes)
        .data(AssociatedData::new(data).map_err(failed)?)
        .output_len(32)
        .build()
        .map_err(failed)?;
    let blocks = params.block_count();
    let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params)
        .map_err(failed)?;
    let mut arena = sys::Arena::new(blocks)
        .map_err(|e| Error::System(format!("no memory for the key derivation: {e}")))?;
    let mut out = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into_with_memory(password, salt, out.as_mut_slice(), arena.blocks())
        .map_err(failed)?;
    drop(arena);
    sys::scrub_stack();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9106, section 5.3.
    #[test]
    fn rfc_9106_argon2id() -> Result<()> {
        let params = KdfParams {
            memory_kib: 32,
            passes: 3,
            lanes: 4,
        };
        let tag = argon2id(&[1; 32], &[2; 16], params, &[3; 8], &[4; 12])?;
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(data_encoding::HEXLOWER.encode(&*tag), expected);
        Ok(())
    }

    #[test]
    fn out_of_bounds_is_refused_before_any_memory_is_taken() {
        let params = |memory_kib, passes, lanes| KdfParams {
            memory_kib,
            passes,
            lanes,
        };
        for bad in [
            params(u32::MAX, 3, 4),
            params(65_536, u32::MAX, 4),
            params(65_536, 3, 255),
            params(8, 3, 4),
            params(65_535, 3, 4),
            params(65_536, 2, 4),
            params(65_536, 3, 0),
            params(1_048_577, 3, 4),
            params(65_536, 11, 4),
            params(65_536, 3, 17),
        ] {
            assert!(!bad.in_bounds());
            assert!(password(b"x", &[0; 32], bad).is_err());
        }
        assert!(KdfParams::default().in_bounds());
    }
}
