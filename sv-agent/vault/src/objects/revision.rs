//! Revisions: signed, immutable, FORMAT.md §3.

use super::{EpochId, NodeId, RecordId, RevisionId, VaultId, body::Body, kind};
use crate::{
    Error, Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto, limits,
};
use zeroize::Zeroizing;

/// The purge flag.
const PURGE: u8 = 1;

const SIGNATURE: usize = 64;

/// The clear part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub purge: bool,
    pub vault: VaultId,
    pub record: RecordId,
    pub author: NodeId,
    pub epoch: EpochId,
    pub lc: u64,
    pub generation: u64,
    pub commitment: [u8; 32],
    pub length: u32,
    pub parents: Vec<RevisionId>,
    pub ancestors: Vec<[u8; 16]>,
}

impl Header {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let count = |n: usize, limit| match u8::try_from(n) {
            Ok(byte) if n <= limit => Ok(byte),
            _ => Err(MALFORMED),
        };
        let mut out = Vec::with_capacity(256);
        out.put(&codec::prefix(
            kind::REVISION,
            if self.purge { PURGE } else { 0 },
        ));
        out.put(&self.vault);
        out.put(&self.record);
        out.put(&self.author);
        out.put(&self.epoch);
        out.put(&self.lc.to_le_bytes());
        out.put(&self.generation.to_le_bytes());
        out.put(&self.commitment);
        out.put(&self.length.to_le_bytes());
        out.put(&[
            count(self.parents.len(), limits::PARENTS)?,
            count(self.ancestors.len(), limits::ANCESTORS)?,
        ]);
        self.parents.iter().for_each(|id| out.put(id));
        self.ancestors.iter().for_each(|id| out.put(id));
        Ok(out)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let purge = reader.prefix(kind::REVISION, PURGE)? != 0;
        let vault = reader.array()?;
        let record = reader.array()?;
        let author = reader.array()?;
        let epoch = reader.array()?;
        let lc = reader.u64()?;
        let generation = reader.u64()?;
        let commitment = reader.array()?;
        let length = reader.u32()?;
        let parents = reader.u8()?.into();
        let ancestors = reader.u8()?.into();
        if parents > limits::PARENTS || ancestors > limits::ANCESTORS {
            return Err(MALFORMED);
        }
        Ok(Self {
            purge,
            vault,
            record,
            author,
            epoch,
            lc,
            generation,
            commitment,
            length,
            parents: reader.sorted(parents)?,
            ancestors: reader.sorted(ancestors)?,
        })
    }
}

/// A revision as it is stored, taken apart but not yet trusted.
pub struct Revision<'a> {
    pub header: Header,
    pub id: RevisionId,
    /// The header's bytes: what authenticates the body.
    aad: &'a [u8],
    ciphertext: &'a [u8],
    signature: &'a [u8; SIGNATURE],
}

impl<'a> Revision<'a> {
    /// Takes an object apart, which must hash to `expected`.
    pub fn parse(object: &'a [u8], expected: &RevisionId) -> Result<Self> {
        if object.len() > limits::OBJECT {
            return Err(MALFORMED);
        }
        let mut reader = Reader(object);
        let header = Header::decode(&mut reader)?;
        let aad = &object[..object.len() - reader.0.len()];
        let length = usize::try_from(header.length).map_err(|_| MALFORMED)?;
        let ciphertext = reader.bytes(length)?;
        let signature = reader.bytes(SIGNATURE)?;
        reader.end()?;
        let id = id(aad, ciphertext);
        if id != *expected {
            return Err(Error::Damaged("a revision is in another's place"));
        }
        Ok(Self {
            id,
            header,
            aad,
            ciphertext,
            signature: signature.try_into().map_err(|_| MALFORMED)?,
        })
    }

    /// Checks the author's signature.
    pub fn verify(&self, author: &[u8; 32]) -> Result<()> {
        crypto::verify(author, "sv1/sig/revision", &self.id, self.signature)
    }

    /// Decrypts the body with the DEK, whose commitment is compared first.
    pub fn open(&self, dek: &[u8; 32]) -> Result<Body> {
        let keys = body_keys(dek, &self.header.vault, &self.header.record)?;
        let (key, commitment) = split(&keys);
        if !crypto::equal(commitment, &self.header.commitment) {
            return Err(Error::Damaged("a key is not the one committed to"));
        }
        Body::decode(crypto::open_once(key, self.aad, self.ciphertext)?)
    }
}

/// A revision just made.
pub struct Sealed {
    pub id: RevisionId,
    pub object: Vec<u8>,
    pub dek: crypto::Key32,
}

/// Encrypts `body` under a new hedged DEK, and signs. The header's commitment
/// and length are filled in here.
pub fn seal(mut header: Header, body: &[u8], hedge: &[u8; 32], seed: &[u8; 32]) -> Result<Sealed> {
    header.length = u32::try_from(body.len() + crypto::TAG).map_err(|_| Error::BadValue)?;
    header.commitment = [0; 32];
    let fresh = crypto::random::<32>()?;
    let dek = crypto::hmac(
        hedge,
        &[
            b"sv1/hedge/dek\0",
            fresh.as_slice(),
            &header.encode()?,
            &crypto::sha256(body),
        ],
    );
    let keys = body_keys(&dek, &header.vault, &header.record)?;
    let (key, commitment) = split(&keys);
    header.commitment = *commitment;
    let aad = header.encode()?;
    let ciphertext = crypto::seal_once(key, &aad, body)?;
    let id = id(&aad, &ciphertext);
    let signature = crypto::sign(seed, "sv1/sig/revision", &id);
    let object = [aad.as_slice(), &ciphertext, &signature].concat();
    if object.len() > limits::OBJECT {
        return Err(Error::BadValue);
    }
    Ok(Sealed { id, object, dek })
}

pub(crate) fn id(header: &[u8], ciphertext: &[u8]) -> RevisionId {
    crypto::hash("sv1/id/revision", &[header, &crypto::sha256(ciphertext)])
}

pub(crate) fn body_keys(
    dek: &[u8; 32],
    vault: &VaultId,
    record: &RecordId,
) -> Result<Zeroizing<[u8; 64]>> {
    crypto::kdf(dek, "sv1/rev/body", &[vault, record])
}

/// Key and commitment.
pub(crate) fn split(keys: &[u8; 64]) -> (&[u8; 32], &[u8; 32]) {
    let (halves, _) = keys.as_chunks::<32>();
    (&halves[0], &halves[1])
}
