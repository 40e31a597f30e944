//! What only this node knows and needs: who holds which share, which shares
//! still wait for delivery, which backups were made. FORMAT.md §4.

use super::{NodeId, VaultId, kind};
use crate::{
    Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto, limits,
};
use zeroize::Zeroizing;

/// This node's notes.
#[derive(Debug, Default)]
pub struct Local {
    /// The set in force, and one that is not yet.
    pub dealings: Vec<Dealing>,
    /// The newest last.
    pub backups: Vec<BackupNote>,
}

/// One set of shares that this node dealt.
#[derive(Debug)]
pub struct Dealing {
    pub set: [u8; 16],
    pub active: bool,
    pub dealt: i64,
    /// One for each share, by index.
    pub shares: Vec<Part>,
}

/// One share of a dealing.
#[derive(Debug, Default)]
pub struct Part {
    /// Where it is: a kind and a label.
    pub holder: Option<(u8, String)>,
    pub delivered: i64,
    pub verified: i64,
    /// The share itself, until it is delivered.
    pub waiting: Option<crypto::Key32>,
}

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupNote {
    pub generation: u64,
    pub time: i64,
    pub place: String,
}

/// Whose notes an object holds.
pub fn node_of(object: &[u8]) -> Result<NodeId> {
    let mut r = Reader(object);
    r.prefix(kind::LOCAL, 0)?;
    r.array()
}

impl Local {
    /// The encrypted object.
    pub fn seal(&self, vault: &VaultId, node: &NodeId, node_key: &[u8; 32]) -> Result<Vec<u8>> {
        let salt = *crypto::random::<32>()?;
        let mut out = Vec::with_capacity(512);
        out.put(&codec::prefix(kind::LOCAL, 0));
        out.put(node);
        out.put(&salt);
        let key = crypto::kdf::<32>(node_key, "sv1/nk/local", &[vault, &salt])?;
        let sealed = crypto::seal_once(&key, &out, &self.encode()?)?;
        out.put(&sealed);
        Ok(out)
    }

    /// Reads an object of this node.
    pub fn open(
        object: &[u8],
        vault: &VaultId,
        node: &NodeId,
        node_key: &[u8; 32],
    ) -> Result<Self> {
        let mut r = Reader(object);
        r.prefix(kind::LOCAL, 0)?;
        let of: NodeId = r.array()?;
        let salt: [u8; 32] = r.array()?;
        if of != *node {
            return Err(MALFORMED);
        }
        let aad = &object[..object.len() - r.0.len()];
        let key = crypto::kdf::<32>(node_key, "sv1/nk/local", &[vault, &salt])?;
        Self::decode(&crypto::open_once(&key, aad, r.0)?)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let labels = |d: &Dealing| -> usize {
            let holders = d
                .shares
                .iter()
                .map(|s| 64 + s.holder.as_ref().map_or(0, |h| h.1.len()));
            64 + holders.sum::<usize>()
        };
        let size = self.dealings.iter().map(labels).sum::<usize>()
            + self
                .backups
                .iter()
                .map(|b| 32 + b.place.len())
                .sum::<usize>();
        let mut out = Zeroizing::new(Vec::with_capacity(16 + size));
        out.put(&[u8::try_from(self.dealings.len()).map_err(|_| MALFORMED)?]);
        for dealing in &self.dealings {
            out.put(&dealing.set);
            out.put(&[u8::from(dealing.active)]);
            out.put(&dealing.dealt.to_le_bytes());
            out.put(&[u8::try_from(dealing.shares.len()).map_err(|_| MALFORMED)?]);
            for share in &dealing.shares {
                let (kind, label) = match &share.holder {
                    Some((kind, label)) => (*kind, label.as_str()),
                    None => (0, ""),
                };
                out.put(&[kind]);
                out.lp8(label.as_bytes())?;
                out.put(&share.delivered.to_le_bytes());
                out.put(&share.verified.to_le_bytes());
                match &share.waiting {
                    None => out.put(&[0]),
                    Some(waiting) => {
                        out.put(&[1]);
                        out.put(waiting.as_slice());
                    }
                }
            }
        }
        out.put(&[u8::try_from(self.backups.len()).map_err(|_| MALFORMED)?]);
        for backup in &self.backups {
            out.put(&backup.generation.to_le_bytes());
            out.put(&backup.time.to_le_bytes());
            out.lp8(backup.place.as_bytes())?;
        }
        Ok(out)
    }

    fn decode(plain: &[u8]) -> Result<Self> {
        let mut r = Reader(plain);
        let mut local = Self::default();
        for _ in 0..r.u8()? {
            let mut dealing = Dealing {
                set: r.array()?,
                active: flag(r.u8()?)?,
                dealt: r.i64()?,
                shares: Vec::new(),
            };
            for _ in 0..r.u8()? {
                let kind = r.u8()?;
                let label = r.str8()?.to_owned();
                dealing.shares.push(Part {
                    holder: (kind != 0).then_some((kind, label)),
                    delivered: r.i64()?,
                    verified: r.i64()?,
                    waiting: match flag(r.u8()?)? {
                        false => None,
                        true => Some(Zeroizing::new(r.array()?)),
                    },
                });
            }
            local.dealings.push(dealing);
        }
        for _ in 0..r.u8()? {
            local.backups.push(BackupNote {
                generation: r.u64()?,
                time: r.i64()?,
                place: r.str8()?.to_owned(),
            });
        }
        r.end()?;
        if local.dealings.len() > limits::DEALINGS {
            return Err(MALFORMED);
        }
        Ok(local)
    }
}

const fn flag(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(MALFORMED),
    }
}
