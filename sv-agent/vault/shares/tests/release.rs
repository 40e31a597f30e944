//! Handing shares in from elsewhere.

mod common;

use common::{Random, set};
use sv_shares::{
    Error, Share,
    release::{Ceremony, is_released, seal, vault_of},
};

#[test]
fn only_its_own_ceremony_opens_a_released_share() {
    let (_, shares) = set(&mut Random(1), 2, 3);
    let vault = shares[0].header().vault;
    let ceremony = Ceremony::new(vault).unwrap();
    let key = ceremony.key_text();
    assert_eq!(vault_of(&key).unwrap(), vault);
    let texts = [shares[0].to_text(), shares[1].to_words()];
    for text in &texts {
        let line = seal(text.as_bytes(), &key).unwrap();
        assert!(is_released(line.as_bytes()));
        assert!(!is_released(text.as_bytes()));
        for word in text.split(' ') {
            assert!(!line.contains(word), "nothing of the share is readable");
        }
        let opened = ceremony.open(format!(" {line}\n").as_bytes()).unwrap();
        assert_eq!(*opened, text.as_bytes());
        assert_ne!(line, seal(text.as_bytes(), &key).unwrap());

        let other = Ceremony::new(vault).unwrap();
        let error = other.open(line.as_bytes()).unwrap_err();
        assert_eq!(error, Error::NotForThisCeremony);
        assert!(!error.is_damage());
        // What is in a seed is all of a ceremony.
        let again = Ceremony::from_seed(vault, &[5; 32]);
        let line = seal(text.as_bytes(), &again.key_text()).unwrap();
        let opened = Ceremony::from_seed(vault, &[5; 32]).open(line.as_bytes());
        assert_eq!(*opened.unwrap(), text.as_bytes());
        assert!(
            Ceremony::from_seed([0; 16], &[5; 32])
                .open(line.as_bytes())
                .is_err()
        );
    }
}

#[test]
fn a_share_is_checked_before_it_is_sealed() {
    let (_, shares) = set(&mut Random(2), 2, 3);
    let key = Ceremony::new(shares[0].header().vault).unwrap().key_text();
    let foreign = Ceremony::new([9; 16]).unwrap().key_text();
    for text in [shares[0].to_text(), shares[0].to_words()] {
        assert_eq!(
            seal(text.as_bytes(), &foreign).unwrap_err(),
            Error::OtherVault
        );
    }
    let mut text = shares[0].to_text().as_bytes().to_vec();
    text[50] = if text[50] == b'q' { b'p' } else { b'q' };
    let position = Some(51);
    assert_eq!(seal(&text, &key).unwrap_err(), Error::Typo { position });
    assert_eq!(seal(b"hello", &key).unwrap_err(), Error::NotAShare);
}

#[test]
fn every_mistake_in_a_line_or_a_key_is_found() {
    let (_, shares) = set(&mut Random(3), 2, 3);
    let ceremony = Ceremony::new(shares[0].header().vault).unwrap();
    let (text, key) = (shares[0].to_text(), ceremony.key_text());
    let line = seal(text.as_bytes(), &key).unwrap();
    for at in 0..line.len() {
        let mut bad = line.clone().into_bytes();
        bad[at] = if bad[at] == b'q' { b'p' } else { b'q' };
        let position = Some(at + 1);
        assert_eq!(ceremony.open(&bad).unwrap_err(), Error::Typo { position });
        assert!(ceremony.open(&line.as_bytes()[..at]).is_err());
    }
    for at in 0..key.len() {
        let mut bad = key.clone().into_bytes();
        bad[at] = if bad[at] == b'q' { b'p' } else { b'q' };
        let bad = String::from_utf8(bad).unwrap();
        let position = Some(at + 1);
        assert_eq!(
            seal(text.as_bytes(), &bad).unwrap_err(),
            Error::KeyTypo { position }
        );
        assert!(seal(text.as_bytes(), &key[..at]).is_err());
    }
    for wrong in ["", "hello", text.as_str(), line.as_str()] {
        assert_eq!(seal(text.as_bytes(), wrong).unwrap_err(), Error::NotAKey);
    }
    for wrong in ["", "hello", text.as_str(), key.as_str()] {
        assert_eq!(
            ceremony.open(wrong.as_bytes()).unwrap_err(),
            Error::NotAShare
        );
    }
    let _ = Share::parse(text.as_bytes()).unwrap();
}
